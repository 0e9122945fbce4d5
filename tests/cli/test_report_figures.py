import csv
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cli.ablation_directory import make_ablation, write_plan, write_trial
from vitcli.report import ReportError, load, summarise
from vitcli.report.curves import mean_curves
from vitcli.report.curves_figure import spread
from vitcli.report.figures import write_figures
from vitcli.report.looks import look


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_ablation(tmp_path / "localvit_act")


def size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


def draw(directory: Path) -> list[str]:
    ablation = load(directory)
    return [path.name for path in write_figures(ablation, summarise(ablation))]


def test_both_figures_are_at_least_1200_pixels_wide(runs):
    assert draw(runs) == ["arms.png", "curves.png"]
    assert all(1200 <= size(runs / name)[0] <= 1700 for name in ("arms.png", "curves.png"))


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_figures_can_be_drawn_with_one_and_two_seeds(tmp_path, seeds):
    write_plan(tmp_path)
    for seed in seeds:
        write_trial(tmp_path, "relu6", seed)
    assert draw(tmp_path) == ["arms.png", "curves.png"]


def test_without_curves_there_is_one_figure(runs):
    for path in runs.rglob("metrics.csv"):
        path.unlink()
    assert draw(runs) == ["arms.png"]


def test_a_curve_of_one_epoch_is_drawn(runs):
    for path in runs.rglob("metrics.csv"):
        path.write_text("epoch,step,val/acc1\n0,19,0.5\n")
    assert draw(runs) == ["arms.png", "curves.png"]


def test_drawing_does_without_pyplot_and_its_global_state(runs):
    script = (
        "import sys; from vitcli.report import write; write(sys.argv[1]); print('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(runs)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "False\n"


def test_the_mean_curve_is_the_mean_of_the_seeds_files(runs):
    curve = mean_curves(load(runs).arm("relu6"), "epoch")["val/acc1"]
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
    assert mean_curves(load(runs).arm("relu6"), "epoch")["val/acc1"].x[-1] == 9


def test_a_failed_trial_is_in_no_curve(runs):
    assert mean_curves(load(runs).arm("h_swish"), "epoch")["val/acc1"].n == 4


def test_a_file_of_curves_that_holds_text_is_one_sentence(runs):
    path = runs / "relu6" / "seed0" / "metrics.csv"
    path.write_text("epoch,step,val/acc1\n0,1,good\n")
    with pytest.raises(ReportError, match=r"metrics\.csv: every cell must be empty or a number"):
        mean_curves(load(runs).arm("relu6"), "epoch")


def test_labels_are_moved_apart_and_stay_inside():
    placed = spread([0.5, 0.5, 0.51, 0.99], 0.1, (0.05, 0.95))
    assert all(later - earlier >= 0.1 - 1e-12 for earlier, later in pairwise(placed))
    assert placed[-1] <= 0.95
    assert spread([0.2, 0.8], 0.1, (0.05, 0.95)) == [0.2, 0.8]


def test_neighbouring_arms_differ_in_colour_marker_and_line():
    looks = [look(index) for index in range(60)]
    assert len(set(looks)) == 60
    for one, other in pairwise(looks):
        assert one.colour != other.colour
        assert one.marker != other.marker
        assert one.line != other.line
