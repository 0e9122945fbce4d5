"""What is printed: texts from outside as they are, and a run that goes on when nobody reads its output any more."""

import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from tests.cli.processes import Running
from tests.cli.tiny_ablation import ABLATION, PLAIN, results, write
from vitcli.console import Output

OUTSIDE = "[/home/x] [red]no[/red] :smile: [link=http://x]"


def test_a_text_from_outside_is_printed_as_it_is(capsys):
    output = Output()
    output.print(OUTSIDE, soft_wrap=True)
    table = Table(OUTSIDE, box=None)
    table.add_row(OUTSIDE)
    output.print(table)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [OUTSIDE] * 3
    assert output.status(OUTSIDE).renderable.text.plain == OUTSIDE


def closed(*words: str) -> tuple[int, str]:
    """Run a command whose output is closed before it prints; return its exit code and its errors."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    return process.wait(), errors


def test_a_closed_output_ends_the_display_and_not_the_process():
    lines = ("from vitcli.console import Output", "one = Output()", "one.print('x')", "one.print('y')", "print('z')")
    code, errors = closed(sys.executable, "-c", "; ".join((*lines, "import os; os._exit(7)")))
    assert (code, errors) == (7, "vitcli: the output was closed; the command goes on without it.\n")


def test_a_command_that_only_prints_ends_quietly_when_its_output_is_closed():
    assert closed(str(Path(sys.executable).with_name("vitcli")), "list") == (141, "")


@pytest.mark.slow  # a run of the command
def test_an_ablation_whose_output_is_closed_trains_to_the_end(tmp_path):
    write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION | {"seeds": 1})
    running = Running("fit", "--config", "arms.yaml", folder=tmp_path)
    try:
        running.process.stdout.close()
        running.process.stdout = None
        code, _, errors = running.end()
    finally:
        running.stop()
    assert (code, errors) == (0, "vitcli: the output was closed; the command goes on without it.\n")
    assert [one["status"] for one in results(tmp_path / "runs" / "arms").values()] == ["done", "done"]
    assert (tmp_path / "runs" / "arms" / "report.md").exists()
