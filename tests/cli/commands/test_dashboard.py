import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.ablation_directory import make_ablation, make_finished_ablation, write_trial
from vitcli.commands.dashboard import refresh
from vitcli.main import main

# A shell that starts the tests in the background makes their children ignore Ctrl-C; the first line undoes that.
SCRIPT = """import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)
from vitcli.main import main; sys.exit(main(["dashboard", *sys.argv[1:]]))"""
COMMAND = [sys.executable, "-c", SCRIPT]


@contextmanager
def running(directory: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and its address."""
    with subprocess.Popen([*COMMAND, str(directory), *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            yield process, next(word for word in words if word.startswith("http://"))
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def rows(address: str) -> dict[str, int]:
    body = {"startIndex": 0, "sliceSize": 100, "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"]}
    request = urllib.request.Request(
        f"{address}data/plugin/hparams/session_groups", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return {group["name"]: len(group["sessions"]) for group in json.load(answer)["sessionGroups"]}


def test_the_dashboard_shows_one_row_per_arm_and_ends_cleanly_on_ctrl_c(tmp_path):
    with running(make_ablation(tmp_path / "localvit_act"), "--port", "0") as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert rows(address) == {"relu6": 5, "h_swish": 5, "h_swish_eca": 5, "h_swish_se4": 5, "no_depthwise": 4}
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_2(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        directory = make_finished_ablation(tmp_path / "a", seeds=(0,))
        found = subprocess.run([*COMMAND, str(directory), "--port", port], capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in found.stderr
    assert "leave --port out" in found.stderr


def test_without_a_port_the_next_free_one_is_taken(tmp_path):
    directory = make_finished_ablation(tmp_path / "a", seeds=(0,))
    with running(directory) as (_, first), running(directory) as (_, second):
        assert first != second


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_directory_without_runs_is_one_sentence_and_exit_code_2(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert main(["dashboard", str(tmp_path / name)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"{tmp_path / name}: neither an ablation (ablation.json) nor a run" in message


def test_an_ablation_that_cannot_be_read_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "ablation.json").write_text("{")
    assert main(["dashboard", str(tmp_path)]) == 2
    assert f"{tmp_path / 'ablation.json'}: not readable as JSON" in capsys.readouterr().err


def test_a_plain_run_is_shown_as_it_is(tmp_path):
    write_trial(tmp_path, "relu6", 0)
    before = sorted(tmp_path.rglob("*"))
    assert refresh(tmp_path / "relu6" / "seed0") == "run"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_of_ablations_is_refreshed_as_one_view(tmp_path):
    for name in ("first", "nested/second"):
        make_finished_ablation(tmp_path / name, seeds=(0, 1))
    assert refresh(tmp_path) == "ablation"
    written = {os.path.relpath(path.parent, tmp_path) for path in tmp_path.rglob("*.vitcli")}
    assert {".", "first/relu6/seed0", "nested/second/relu6/seed1", "first/mean/relu6"} <= written
    assert "first" not in written
