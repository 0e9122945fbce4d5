"""Mean curves, over the files that trials leave."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.cli.ablation_directory import make_ablation
from vitcli.records.ablation import load
from vitcli.records.metrics import read_arm_series
from vitcli.statistics.curves import Curve, mean_curve, mean_curves


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_ablation(tmp_path / "localvit_act")


def curves(directory: Path, arm: str) -> dict[str, Curve]:
    return mean_curves(read_arm_series(load(directory).arm(arm), "epoch"))


def test_the_mean_curve_is_the_mean_of_the_seeds_files(runs):
    curve = curves(runs, "relu6")["val/acc1"]
    last = []
    for seed in range(5):
        with (runs / "relu6" / f"seed{seed}" / "metrics.csv").open() as file:
            last.append([float(row["val/acc1"]) for row in csv.DictReader(file) if row["val/acc1"]][-1])
    assert curve.mean[-1] == pytest.approx(np.mean(last))
    assert (curve.n, curve.x[0], curve.x[-1]) == (5, 0, 23)
    assert curve.half_width[-1] == pytest.approx(2.7764 * np.std(last, ddof=1) / np.sqrt(5), rel=1e-4)


def test_the_mean_curve_ends_where_the_shortest_seed_ends(runs):
    path = runs / "relu6" / "seed0" / "metrics.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:21]) + "\n")
    assert curves(runs, "relu6")["val/acc1"].x[-1] == 9


def test_a_failed_trial_is_in_no_curve(runs):
    assert curves(runs, "h_swish")["val/acc1"].n == 4


def test_one_seed_has_a_curve_and_no_interval():
    curve = mean_curve([{0.0: 0.5, 1.0: 0.7}])
    assert (list(curve.x), list(curve.mean), curve.half_width, curve.n) == ([0.0, 1.0], [0.5, 0.7], None, 1)
    assert [list(end) for end in curve.band] == [[0.5, 0.7]] * 2


def test_only_metrics_and_epochs_that_every_seed_has_are_averaged():
    seeds = [{"val/a": {0.0: 1.0, 1.0: 2.0}, "val/b": {0.0: 1.0}}, {"val/a": {1.0: 4.0, 2.0: 5.0}}]
    found = mean_curves(seeds)
    assert list(found) == ["val/a"]
    assert (list(found["val/a"].x), list(found["val/a"].mean)) == ([1.0], [3.0])
    assert mean_curves([]) == mean_curves([{"val/a": {0.0: 1.0}}, {"val/a": {1.0: 1.0}}]) == {}
