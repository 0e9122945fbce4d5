"""Whatever lies in a directory of results, a report is written or one sentence names the damaged file."""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.cli.ablation_directory import edit_plan, edit_result, make_arms, write_speed
from vitcli.main import main
from vitcli.records.ablation import load
from vitcli.records.json_files import RecordError
from vitcli.report import compare_runs, summarise, to_terminal, two_runs_csv, write_pages, write_summary_view

PROVENANCE = {"commit": "abc", "dirty": None, "versions": {"torch": "2"}, "data": "x", "device": "a CPU"}
FILES = ("ablation.json", "speed.json", "b/seed1/result.json", "b/seed1/metrics.csv")
BAD = (
    *(None, [], {}, "x", "", "NaN", "\ud800", "a\x1b[31m", [[1]], {"a": [1]}, [None]),
    *(-1, 0, 1, 1.5, True, math.inf, math.nan, 10**400, 1e308),
)
TEXTS = (
    "",
    "null",
    "[]",
    "3",
    '"x"',
    "\0",
    '{"a":' * 2000,
    "\ud800",
    "epoch,step\n1",
    "epoch,val/acc1\n1,2,3\n",
    "a,a\nx,y\n",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    directory = make_arms(tmp_path_factory.mktemp("damaged") / "runs", ["a", "b", "c"], 4, epochs=3)
    edit_plan(
        directory,
        levels={"a": {"f": "x"}, "b": {"f": "y"}},
        budget={"equal": "epochs", "epochs": {"a": 3, "b": 3}},
        dropped={"c": "why"},
        margin=0.02,
        looks=[2, 4],
        reports=[{"at": "then", "seeds": {"a": 2, "b": 2, "c": 1}, "looks": [2, 4]}],
        baseline_seeds=[0, 1, 2, 3],
    )
    edit_result(directory, "b", 1, provenance=PROVENANCE, resumed=[1], log=["x"])
    write_speed(directory)
    return directory


def places(value: Any, above: tuple = ()) -> Iterator[tuple]:
    """Yield the way to every value in JSON data."""
    yield above
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*above, name))


@st.composite
def damaged(draw, text: str) -> str:
    """Text of a record in which one value is another, or is gone, or that is cut short or something else."""
    kind = draw(st.sampled_from(("value", "value", "value", "gone", "cut", "other")))
    if kind == "cut" or (kind != "other" and not text.startswith("{")):
        return text[: draw(st.integers(0, len(text)))]
    if kind == "other":
        return draw(st.sampled_from(TEXTS))
    content = json.loads(text)
    *above, last = draw(st.sampled_from([way for way in places(content) if way]))
    node = content
    for name in above:
        node = node[name]
    if kind == "gone":
        del node[last]
    else:
        node[last] = draw(st.sampled_from(BAD))
    return json.dumps(content)


def report(directory: Path) -> None:
    """Do what the commands report, compare and dashboard do with a directory, without figures."""
    ablation = load(directory)
    summary = summarise(ablation)
    Console(file=io.StringIO()).print(to_terminal(summary))
    write_pages(ablation, summary, [])
    two_runs_csv(compare_runs(ablation, ablation))
    write_summary_view(ablation, summary)


def check(runs: Path, data: st.DataObject) -> None:
    path = runs / data.draw(st.sampled_from(FILES))
    good = path.read_text()
    message = str(runs)
    try:
        path.write_bytes(data.draw(damaged(good)).encode(errors="surrogatepass"))
        report(runs)
    except RecordError as error:
        message = str(error)
    finally:
        path.write_text(good)
    assert message.startswith(str(runs))
    assert "\n" not in message


QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(QUIET, max_examples=40)
@given(st.data())
def test_a_damaged_record_is_reported_or_named(runs, data):
    check(runs, data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("examples", [500, pytest.param(2000, marks=pytest.mark.exhaustive)])
def test_many_damaged_records_are_reported_or_named(examples, runs):
    settings(QUIET, max_examples=examples)(given(st.data())(lambda data: check(runs, data)))()


@pytest.mark.parametrize("command", [["report", "--format", "terminal"], ["compare"], ["dashboard"]])
def test_the_commands_name_the_damaged_file(command, runs, capsys):
    path = runs / "b/seed1/result.json"
    good = path.read_text()
    path.write_text(good.replace('"epochs": 3', '"epochs": "many"'))
    try:
        assert main([command[0], *[str(runs)] * (2 if command == ["compare"] else 1), *command[1:]]) == 2
    finally:
        path.write_text(good)
    message = capsys.readouterr().err
    assert f"{path}: epochs must be a whole number of at least 0, got 'many'." in message
    assert message.count("\n") == 1
