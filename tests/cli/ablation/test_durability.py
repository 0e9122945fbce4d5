"""Whatever ends an ablation, the same command goes on, and its table is the one of a run that nothing ended."""

import csv
import errno
import fcntl
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Running
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, results, write
from vitcli.ablation.launch.local import least_used
from vitcli.ablation.state import INTERRUPTED, cause_of, cause_of_exit, last_lines
from vitcli.ablation.worker import visible_devices
from vitcli.main import main

pytestmark = LIGHTNING

TRIALS = ["gelu/seed0", "gelu/seed1", "plain/seed0", "plain/seed1"]
COMMAND = ("fit", "--config", "arms.yaml", "--ablation.workers", "1")
MEASURED = ("seconds", "images", "latency", "memory", "warnings")
"""Parts of the names of columns that hold no result but a measurement, or what code was there."""

MORTAL = '''
"""A callback that ends processes with SIGKILL at the moment that a file names."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

from lightning.pytorch import Callback
from lightning.pytorch.loggers.logger import DummyLogger

ORDER = Path(__file__).with_name("order")


def reached(moment):
    """Obey the order, once: ``WHO WHEN``, where WHEN is ``step 0 1`` or ``naming last.ckpt``."""
    if ORDER.exists():
        who, _, when = ORDER.read_text().partition(" ")
        if when == moment:
            ORDER.unlink()
            if who == "both":
                os.kill(multiprocessing.parent_process().pid, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def hear(event, arguments):
    if event == "os.rename":
        reached("naming " + Path(os.fsdecode(arguments[1])).name)


class Mortal(Callback):
    hears = False

    def setup(self, trainer, module, stage):
        if not Mortal.hears:
            sys.addaudithook(hear)
        Mortal.hears = True

    def on_train_batch_start(self, trainer, module, batch, index):
        if trains(trainer):
            reached(f"step {trainer.current_epoch} {index}")

    def on_test_start(self, trainer, module):
        if trains(trainer):
            reached("testing")


def trains(trainer):
    """Whether this is a trial and not the rehearsal of a plan, which logs nothing."""
    return not any(isinstance(logger, DummyLogger) for logger in trainer.loggers)


class Exits(Callback):
    def on_train_batch_start(self, trainer, module, batch, index):
        if index == 1:
            print("about to leave", flush=True)
            os._exit(3)


class Greedy(Callback):
    def on_train_batch_start(self, trainer, module, batch, index):
        if index == 1:
            bytearray(1 << 62)


class Stumbles(Callback):
    def on_train_batch_start(self, trainer, module, batch, index):
        if index == 1:
            raise RuntimeError("stumbled")
'''


def prepared(folder: Path, **changes: object) -> Path:
    """Write a tiny ablation of two epochs a trial, in which every trial can be made to die at a chosen point."""
    (folder / "mortal.py").write_text(MORTAL)
    trainer = PLAIN["trainer"] | {"max_epochs": 2, "callbacks": ["mortal.Mortal"]}
    write(folder / "arms.yaml", PLAIN, {"trainer": trainer, "ablation": ABLATION, **changes})
    return folder


def run(folder: Path, *words: str, **given: object) -> tuple[int, str, str]:
    running = Running(*COMMAND, *words, folder=folder, **given)
    try:
        return running.end()
    finally:
        running.stop()


def table(directory: Path) -> list[dict[str, str]]:
    """The report's rows, without what is measured."""
    with (directory / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not any(part in k for part in MEASURED)} for row in rows]


def done(directory: Path) -> dict[str, tuple[int, bytes]]:
    """When the result of each finished trial was written, and what it is."""
    paths = {
        trial: directory / trial / "result.json"
        for trial, result in results(directory).items()
        if result["status"] == "done"
    }
    return {trial: (path.stat().st_mtime_ns, path.read_bytes()) for trial, path in paths.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An ablation that nothing ended."""
    folder = prepared(tmp_path_factory.mktemp("whole"))
    code, out, errors = run(folder)
    assert (code, errors) == (0, ""), out
    return folder / "runs" / "arms"


def assert_same(directory: Path, whole: Path) -> None:
    """Assert that an ablation has the numbers of the one that nothing ended, to the last bit."""
    one, other = results(directory), results(whole)
    assert sorted(one) == sorted(other) == TRIALS
    for trial in TRIALS:
        for key in ("id", "status", "metrics", "epochs", "train_images"):
            assert one[trial][key] == other[trial][key]
        assert (directory / trial / "metrics.csv").read_bytes() == (whole / trial / "metrics.csv").read_bytes()
    assert table(directory) == table(whole)
    assert not list(directory.rglob(".*.json.*"))
    assert not (directory / ".superseded").exists()


WORST = ("both step 0 0", "both naming last.ckpt", "both naming result.json", "one step 1 0")
FURTHER = ("both step 1 1", "both testing", "one naming result.json")


@pytest.mark.slow  # a run of the command for each death
@pytest.mark.parametrize("deaths", [WORST, pytest.param(WORST + FURTHER, marks=pytest.mark.exhaustive)], ids=len)
def test_runner_and_trials_are_killed_at_the_worst_moments_and_the_same_command_goes_on(deaths, tmp_path, whole):
    directory, before = prepared(tmp_path) / "runs" / "arms", {}
    for death in deaths:
        (tmp_path / "order").write_text(death)
        ended = run(tmp_path)
        assert not (tmp_path / "order").exists(), ended
        assert ended[0] == (-signal.SIGKILL if death.startswith("both") else 1), ended
        after = done(directory)
        assert {trial: after[trial] for trial in before} == before
        before = after
    code, _, errors = run(tmp_path)
    assert (code, errors) == (0, "")
    assert {trial: done(directory)[trial] for trial in before} == before
    assert_same(directory, whole)
    continued = [epochs for result in results(directory).values() for epochs in result["resumed"]]
    assert len(continued) == len(deaths)


@pytest.mark.slow  # four runs of the command
@pytest.mark.exhaustive
def test_a_runner_that_is_killed_at_random_moments_loses_nothing(tmp_path, whole):
    directory, moments, before = prepared(tmp_path) / "runs" / "arms", random.Random(7), {}
    for _ in range(3):
        running = Running(*COMMAND, folder=tmp_path)
        try:
            running.wait_for(lambda: list(directory.rglob("config.yaml")))
            time.sleep(moments.uniform(0, 3))
            running.kill()
        finally:
            running.stop()
        assert {trial: done(directory)[trial] for trial in before} == before
        before = done(directory)
    code, _, errors = run(tmp_path)
    assert (code, errors) == (0, "")
    assert {trial: done(directory)[trial] for trial in before} == before
    assert_same(directory, whole)


@pytest.mark.parametrize(
    "processes", [3, pytest.param(4, marks=pytest.mark.slow)], ids=["while the server imports", "while a process plans"]
)
def test_a_runner_that_is_killed_while_it_plans_leaves_no_process(processes, tmp_path):
    running = Running(*COMMAND, folder=prepared(tmp_path))
    try:
        running.wait_for(lambda: len(running.left()) >= processes)
        time.sleep(0.2)
        running.process.kill()  # and no wait for the end of its output, which its other processes hold too
        running.process.wait()
        until = time.monotonic() + 2  # less than the imports take
        while running.left() and time.monotonic() < until:
            time.sleep(0.02)
        assert running.left() == []
    finally:
        running.stop()


@pytest.mark.slow  # two runs of the command for each signal
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.exhaustive), signal.SIGHUP, signal.SIGINT]
)
def test_a_runner_that_is_asked_to_end_leaves_no_process_and_the_same_command_goes_on(number, tmp_path, whole):
    directory = prepared(tmp_path) / "runs" / "arms"
    running = Running(*COMMAND, folder=tmp_path)
    try:
        running.wait_for(lambda: list(directory.rglob("last.ckpt")))
        running.process.send_signal(number)
        assert running.process.wait(timeout=60) == (-number if number == signal.SIGHUP else 128 + number)
        until = time.monotonic() + 20
        while running.left() and time.monotonic() < until:
            time.sleep(0.02)
        assert running.left() == []
    finally:
        running.stop()
    code, _, errors = run(tmp_path)
    assert (code, errors) == (0, "")
    assert_same(directory, whole)


@pytest.mark.slow  # a run of the command
def test_a_runner_and_trials_that_are_stopped_for_a_while_go_on(tmp_path, whole):
    directory = prepared(tmp_path) / "runs" / "arms"
    running = Running(*COMMAND, folder=tmp_path)
    try:
        running.wait_for(lambda: list(directory.rglob("last.ckpt")))
        stopped = running.left()
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in stopped:
                os.kill(process, number)
            time.sleep(2)
        code, _, errors = running.end()
    finally:
        running.stop()
    assert (code, errors) == (0, "")
    assert_same(directory, whole)


@pytest.mark.slow  # a run of the command
@pytest.mark.parametrize("damage", ["cut short", "emptied"])
def test_files_of_a_finished_ablation_that_are_damaged_cost_their_trials_alone(damage, tmp_path, whole):
    prepared(tmp_path)
    shutil.copytree(whole.parents[1] / "runs", tmp_path / "runs")
    directory = tmp_path / "runs" / "arms"
    results_and_events = ("gelu/seed0/result.json", "plain/seed1/result.json", "plain/seed0/events.out.tfevents.*")
    for path in (path for pattern in results_and_events for path in directory.glob(pattern)):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 if damage == "cut short" else 0])
    checkpoint = directory / "plain" / "seed1" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[: 1000 if damage == "cut short" else 0])
    code, out, errors = run(tmp_path)
    assert (code, errors) == (0, "")
    assert "2 of 4 trials are done already and are skipped." in out
    assert_same(directory, whole)


JUMPS = """
import itertools
import time

now, steps = time.time, itertools.count()
time.time = lambda: now() + (-1) ** next(steps) * 86_400.0
"""


@pytest.mark.slow  # a run of the command
def test_a_clock_that_jumps_and_an_unset_home_change_no_result(tmp_path, whole, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    (tmp_path / "sitecustomize.py").write_text(JUMPS)
    directory = prepared(tmp_path) / "runs" / "arms"
    code, _, errors = run(tmp_path)
    assert (code, errors) == (0, "")
    assert_same(directory, whole)
    assert all(0 < result["train_seconds"] < 3600 for result in results(directory).values())


def limited(size: int) -> Callable[[], None]:
    """Have the kernel cut off every file at this size, as a disk does that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow  # three runs of the command
def test_a_full_disk_interrupts_and_the_same_command_goes_on(tmp_path, whole):
    directory = prepared(tmp_path) / "runs" / "arms"
    # Less than a trial's configuration and its result: nothing can be recorded of the trial.
    code, _, errors = run(tmp_path, prepare=limited(1_500))
    assert code == 2
    assert errors.splitlines()[-1] == (
        "vitcli: runs/arms: stopped, because nothing more can be written there (File too large); "
        "repeat the same command when writing is possible again, and it will continue."
    )
    assert not done(directory)
    # Less than a checkpoint, more than all else of a trial.
    assert run(tmp_path, prepare=limited(40_000))[0] == 1
    causes = {result["cause"] for result in results(directory).values()}
    assert causes == {"interrupted: OSError: [Errno 27] File too large"}
    assert not list(directory.rglob("last.ckpt"))
    code, _, errors = run(tmp_path)
    assert (code, errors) == (0, "")
    assert_same(directory, whole)


def test_a_directory_below_a_file_is_named_in_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)
    (tmp_path / "notes").touch()
    assert main([*COMMAND, "--runs", "notes"]) == 2
    assert (
        capsys.readouterr().err
        == "vitcli: notes/arms: the directory cannot be created (Not a directory); use --runs DIR.\n"
    )


def test_trials_that_outlive_their_runner_are_waited_for(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)
    monkeypatch.setattr("vitcli.ablation.run_directory.SECONDS_TO_END", 0.2)
    directory = tmp_path / "runs" / "arms"
    directory.mkdir(parents=True)
    with (directory / ".alive").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_SH)
        assert main(list(COMMAND)) == 2
    assert "runs/arms: trials of a vitcli that has ended are still running; end their" in capsys.readouterr().err
    assert not (directory / "ablation.json").exists()


@pytest.mark.slow
def test_a_failure_of_one_trial_does_not_affect_the_others(tmp_path, whole):
    trainer = {f"{name.lower()}": {"trainer.callbacks": [f"mortal.{name}"]} for name in ("Exits", "Greedy", "Stumbles")}
    arms = {"plain": {}, **trainer, "hot": {"model.optimizer.lr": 1e30}}
    prepared(tmp_path, ablation=ABLATION | {"arms": arms, "seeds": 1})
    code, _, errors = run(tmp_path, "--ablation.workers", "2")
    assert (code, errors) == (1, "")
    found = results(tmp_path / "runs" / "arms")
    assert found["plain/seed0"]["metrics"] == results(whole)["plain/seed0"]["metrics"]
    causes = {trial: result["cause"] for trial, result in found.items() if result["status"] == "failed"}
    assert {trial: cause.partition(" (")[0] for trial, cause in causes.items()} == {
        "exits/seed0": "the process ended with exit code 3; see log.txt",
        "greedy/seed0": "OutOfMemoryError: the memory of cpu ran out with a batch of 64 images of 1 x 32 x 32",
        "stumbles/seed0": "RuntimeError: stumbled",
        "hot/seed0": "ArithmeticError: the loss is nan at step 1",
    }
    assert found["exits/seed0"]["log"][-1] == "about to leave"
    assert found["stumbles/seed0"]["log"][-1] == "RuntimeError: stumbled"


def test_a_log_ends_with_its_last_lines_as_they_stood_last(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {number}\n" for number in range(90)) + "\n0 %\r50 %\r100 %\r\nend\n")
    assert last_lines(path) == [*(f"line {number}" for number in range(72, 90)), "100 %", "end"]
    path.write_bytes(b"\xff" * 3_000_000)
    assert [len(line) for line in last_lines(path)] == [400]
    assert last_lines(tmp_path / "none.txt") == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_what_the_machine_refuses_is_an_interruption_and_what_the_trial_does_wrong_is_not(number):
    outer = RuntimeError("cannot save")
    outer.__cause__ = OSError(number, os.strerror(number))
    assert cause_of(outer) == f"{INTERRUPTED}RuntimeError: cannot save"
    assert cause_of(FileNotFoundError(errno.ENOENT, "no such file")) == "FileNotFoundError: [Errno 2] no such file"
    assert cause_of_exit(-signal.SIGKILL).startswith(INTERRUPTED)
    assert cause_of_exit(-signal.SIGSEGV) == "the process was ended by signal 11 (Segmentation fault); see log.txt"


def test_trials_spread_over_the_gpus_before_they_share_them():
    gpus, used = [(0,), (1,), (2,)], []
    for _ in range(7):
        used.append(least_used(gpus, used))
    assert used == [(0,), (1,), (2,), (0,), (1,), (2,), (0,)]
    used.remove((1,))
    assert least_used(gpus, used) == (1,)


def test_a_trial_sees_its_gpus_among_those_that_the_runner_may_use():
    assert visible_devices((1, 2), None) == "1,2"
    assert visible_devices((0,), "") == "0"
    assert visible_devices((1,), "3, 5") == "5"
    assert visible_devices((0, 1), "GPU-8a,GPU-9b,GPU-1c") == "GPU-8a,GPU-9b"
