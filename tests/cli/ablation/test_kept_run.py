"""A run that an earlier version began: its directory, made at commit 04d4731 before files and packages moved, goes on."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.cli.processes import Running
from tests.cli.tiny_ablation import results

pytestmark = pytest.mark.slow

KEPT = Path(__file__).parent / "kept_run"
"""One trial is done, one was killed in its second epoch, two had not begun."""


def losses(metrics: Path) -> dict[str, str]:
    """Epoch -> training loss, as written."""
    with metrics.open() as file:
        return {row["epoch"]: row["train/loss"] for row in csv.DictReader(file) if row["train/loss"]}


@pytest.fixture(scope="module")
def went_on(tmp_path_factory):
    """The same command as then, with today's code."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copy(KEPT / "kept.yaml", folder)
    shutil.copytree(KEPT / "kept", folder / "runs" / "kept")
    running = Running("fit", "--config", "kept.yaml", folder=folder)
    try:
        return folder / "runs" / "kept", running.end()
    finally:
        running.stop()


def test_what_was_done_is_skipped_and_the_rest_is_run(went_on):
    directory, (code, out, errors) = went_on
    assert code == 0, errors
    assert "1 of 4 trials are done already" in out
    assert {result["status"] for result in results(directory).values()} == {"done"}
    assert len(results(directory)) == 4
    assert results(directory)["plain/seed0"] == json.loads((KEPT / "kept/plain/seed0/result.json").read_text())


def test_the_killed_trial_continues_from_its_checkpoint(went_on):
    directory, _ = went_on
    assert results(directory)["gelu/seed0"]["resumed"] == [1]
    before, after = (losses(place / "gelu/seed0/metrics.csv") for place in (KEPT / "kept", directory))
    assert list(after) == ["0", "1", "2"]
    assert after["0"] == before["0"], "the row of its first epoch stays"


def test_the_arms_are_who_they_were(went_on):
    directory, _ = went_on
    then, now = (json.loads((place / "ablation.json").read_text())["arms"] for place in (KEPT / "kept", directory))
    assert {arm: record["id"] for arm, record in now.items()} == {arm: record["id"] for arm, record in then.items()}
    assert now["gelu"]["difference"] == then["gelu"]["difference"]
    assert not (directory / ".superseded").exists(), "nothing was taken for another configuration's"
