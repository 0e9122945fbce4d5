"""Several trainings one after another, each in the same two processes, which count as two devices."""

import multiprocessing
import os
import socket
import sys
from pathlib import Path


def train_on_two(trainings: list[list[str]], log: Path) -> None:
    """Run ``vitcli fit`` with each of some lists of words on two devices.

    Two processes run all of them, forked from a server that has imported everything once.

    Args:
        trainings: The words of each training, ``--config FILE ... --runs FOLDER``, with another folder for each.
        log: Where the output of both processes goes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vitcli.ablation.preload"])
    arguments = (free_port(), trainings, log)
    ranks = [context.Process(target=_train, args=(rank, *arguments), daemon=True) for rank in (0, 1)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(600)
    assert [rank.exitcode for rank in ranks] == [0, 0], log.read_text()[-5000:]


def free_port() -> int:
    """Return a port that nothing uses."""
    with socket.socket() as one:
        one.bind(("", 0))
        port: int = one.getsockname()[1]
    return port


def _train(rank: int, port: int, trainings: list[list[str]], log: Path) -> None:
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    from vitcli.main import main
    from vitcli.training.ranks import DIRECTORY

    for words in trainings:
        os.environ[DIRECTORY] = f"{words[-1]}/{Path(words[1]).stem}/fit0"
        print("rank", rank, *words, flush=True)
        if code := main(["fit", *words]):
            sys.exit(code)
