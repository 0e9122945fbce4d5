import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.cli.ablation_directory import (
    edit_plan,
    make_ablation,
    make_arms,
    make_grid,
    write_plan,
    write_speed,
    write_trial,
)
from vitcli.records.ablation import load
from vitcli.report import Picture, summarise
from vitcli.report.figures.arm_style import arm_style
from vitcli.report.figures.canvas import fold, heights, with_seeds
from vitcli.report.figures.cost import nearest_free, overlap
from vitcli.report.figures.curves import spread
from vitcli.report.figures.differences import MARKS, draw_differences
from vitcli.report.figures.write import write_figures


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_ablation(tmp_path / "localvit_act")


def size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


def drawn(directory: Path) -> list[Picture]:
    ablation = load(directory)
    return write_figures(ablation, summarise(ablation))


def draw(directory: Path) -> list[str]:
    return [picture.name for picture in drawn(directory)]


def words(path: Path) -> str:
    """The texts of an SVG: matplotlib draws letters as shapes and leaves the text in a comment beside them."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.parse(path, parser)
    return "\n".join(part.text.strip() for part in tree.iter() if part.tag is ElementTree.Comment)


def test_every_figure_is_there_as_svg_and_as_png_of_at_least_1000_pixels(runs):
    assert draw(runs) == ["arms", "differences", "cost", "curves"]
    for name in ("arms", "differences", "cost", "curves"):
        assert 1000 <= size(runs / f"{name}.png")[0] <= 1700
        assert ElementTree.parse(runs / f"{name}.svg").getroot().tag.endswith("svg")


def test_a_phone_and_a_thumbnail_of_tensorboard_show_letters_that_can_be_read(runs):
    write_speed(runs)
    for name in draw(runs):
        points = float(ElementTree.parse(runs / f"{name}.svg").getroot().get("width").removesuffix("pt"))
        assert 10 * 350 / points > 8.5  # pixels of a letter of ten points in a picture of 350 pixels


def test_the_same_numbers_give_the_same_bytes(runs):
    draw(runs)
    before = {path.name: path.read_bytes() for path in runs.iterdir() if path.suffix in (".svg", ".png")}
    draw(runs)
    assert len(before) == 8
    assert all((runs / name).read_bytes() == content for name, content in before.items())
    assert b"<dc:date>" not in b"".join(before.values())


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_figures_can_be_drawn_with_one_and_two_seeds(tmp_path, seeds):
    write_plan(tmp_path)
    for seed in seeds:
        write_trial(tmp_path, "relu6", seed)
    assert draw(tmp_path) == ["arms", "cost", "curves"]


def test_without_curves_there_is_no_figure_of_them(runs):
    for path in runs.rglob("metrics.csv"):
        path.unlink()
    assert draw(runs) == ["arms", "differences", "cost"]


def test_a_curve_of_one_point_says_nothing_and_is_left_out(runs):
    for path in runs.rglob("metrics.csv"):
        path.write_text("epoch,step,val/acc1\n0,19,0.5\n")
    assert draw(runs) == ["arms", "differences", "cost"]


def test_where_there_was_one_validation_the_training_loss_is_drawn(runs):
    for path in runs.rglob("metrics.csv"):
        path.write_text("epoch,step,train/loss,val/acc1\n0,19,2.0,\n1,39,1.5,\n2,59,1.0,0.5\n")
    captions = {picture.name: picture.caption for picture in drawn(runs)}
    assert captions["curves"].startswith("Training loss, since there were few validations")
    assert "train/loss, mean over seeds" in words(runs / "curves.svg")


def test_costs_that_are_alike_are_not_drawn_and_the_caption_says_so(runs):
    write_speed(runs)
    record = json.loads((runs / "ablation.json").read_text())
    for number, arm in enumerate(record["arms"].values()):
        arm["macs"] = 1_000_000 + 1_000 * number
    (runs / "ablation.json").write_text(json.dumps(record))
    captions = {picture.name: picture.caption for picture in drawn(runs)}
    assert "Not drawn: million MACs of one image, which differs by less than 5%." in captions["cost"]
    assert "million MACs" not in words(runs / "cost.svg")
    (runs / "speed.json").unlink()
    assert "cost" not in draw(runs)


def test_drawing_does_without_pyplot_and_its_global_state(runs):
    script = (
        "import sys; from vitcli.report import write; write(sys.argv[1]); print('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(runs)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "False\n"


def test_labels_are_moved_apart_and_stay_inside():
    placed = spread([0.5, 0.5, 0.51, 0.99], 0.1, (0.05, 0.95))
    assert all(later - earlier >= 0.1 - 1e-12 for earlier, later in pairwise(placed))
    assert placed[-1] <= 0.95
    assert spread([0.2, 0.8], 0.1, (0.05, 0.95)) == [0.2, 0.8]


def test_neighbouring_arms_differ_in_colour_marker_and_line():
    looks = [arm_style(index) for index in range(60)]
    assert len(set(looks)) == 60
    for one, other in pairwise(looks):
        assert one.colour != other.colour
        assert one.marker != other.marker
        assert one.line != other.line


def test_the_figure_of_differences_names_every_arm_but_the_baseline_with_its_verdict(runs):
    draw(runs)
    text = words(runs / "differences.svg")
    for arm in ("h_swish (n = 4)", "h_swish_eca (n = 5)", "h_swish_se4 (n = 5)", "no_depthwise (n = 4)"):
        assert arm in text
    assert "relu6 (n" not in text
    lines = text.splitlines()
    assert [lines[at + 1] for at, line in enumerate(lines) if " ± " in line] == ["open", "open", "better", "open"]


def test_the_figure_of_differences_says_what_its_dots_and_its_band_are(runs):
    captions = []
    for plan in ({"pairing": "none"}, {"pairing": "seeds", "margin": 0.02}):
        edit_plan(runs, **plan)
        ablation = load(runs)
        captions.append(draw_differences(ablation, summarise(ablation), runs / "differences"))
    means, pairs = captions
    assert "a dot is one seed of the arm against the baseline's mean." in means
    assert "margin" not in means
    assert "a dot is the difference of one pair of seeds. The grey band is the margin of 0.02." in pairs


def test_each_verdict_has_a_shape_of_its_own():
    assert len({(marker, filled) for marker, _, filled in MARKS.values()}) == len(MARKS) == 7


def test_the_cost_figure_has_a_panel_for_latency_where_it_was_measured(runs):
    draw(runs)
    assert "latency" not in words(runs / "cost.svg")
    write_speed(runs)
    draw(runs)
    text = words(runs / "cost.svg")
    assert "latency of one image, ms" in text
    assert "million MACs of one image" in text
    assert text.count("relu6 (baseline)") == 2


def test_a_name_is_put_where_nothing_lies_under_it():
    frame, taken = (0.0, 0.0, 400.0, 300.0), []
    for x, y in [(200, 150), (205, 152), (210, 148), (380, 150), (5, 290), (200, 140)]:
        taken.append((x - 5.0, y - 5.0, x + 5.0, y + 5.0))
    for at in [(200, 150), (205, 152), (210, 148), (380, 150), (5, 290), (200, 140)]:
        box, _ = nearest_free(np.array(at, dtype=float), 70.0, 12.0, taken, frame, 1.0)
        assert not any(overlap(box, other) for other in taken)
        assert 0 <= box[0] < box[2] <= 400
        assert 0 <= box[1] < box[3] <= 300
        taken.append(box)


def test_the_factor_figure_has_a_panel_for_each_factor_with_its_levels(tmp_path):
    make_grid(tmp_path, {"activation": ["relu", "gelu"], "attention": ["none", "eca", "se"]})
    assert "factors" in draw(tmp_path)
    text = words(tmp_path / "factors.svg")
    for label in ("activation", "attention", "relu", "gelu", "none", "eca", "se", "attention:", "activation:"):
        assert f"\n{label}\n" in f"\n{text}\n"


def test_without_factors_there_is_no_factor_figure(runs):
    assert "factors" not in draw(runs)
    assert not (runs / "factors.svg").exists()


@pytest.mark.parametrize("name", ["$x$ and $\\alpha", "日本", "a" * 90, "\x1b[31mred", "<b>&", ""])
def test_any_name_can_be_drawn(tmp_path, name):
    make_arms(tmp_path, ["base", f"arm {name}"], 2, levels={"base": {"f": "0"}, f"arm {name}": {"f": name}})
    write_speed(tmp_path)
    assert draw(tmp_path) == ["arms", "differences", "cost", "factors", "curves"]


def test_a_dollar_in_a_name_is_a_dollar(tmp_path):
    make_arms(tmp_path, ["base", "$a$_$b$"], 2)
    draw(tmp_path)
    assert "$a$_$b$ (n = 2)" in words(tmp_path / "arms.svg")


def test_with_many_arms_the_best_and_the_baseline_have_names(tmp_path):
    make_arms(tmp_path, [f"arm{i:02}" for i in range(25)], 2, epochs=2)
    draw(tmp_path)
    assert all(f"arm{i:02} (n = 2)" in words(tmp_path / "arms.svg") for i in range(25))
    curves = words(tmp_path / "curves.svg")
    assert "arm00 (n = 2)" in curves
    assert sum(f"arm{i:02} (n" in curves for i in range(25)) in (10, 11)
    assert "arm00 (baseline)" in words(tmp_path / "cost.svg")


def test_long_names_fold_at_their_joints_and_lose_no_letter():
    name = "a_rather_long_name-of.an arm_that_goes_on_and_on"
    lines = fold(name, 20).split("\n")
    assert all(len(line) <= 20 for line in lines)
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert fold("x" * 45, 20) == "\n".join(["x" * 20, "x" * 20, "x" * 5])
    assert fold("short") == "short"


def test_the_number_of_seeds_is_never_torn_apart():
    for length in range(20, 40):
        assert "(n = 12)" in with_seeds("a_" * (length // 2), 12)


def test_rows_with_more_lines_are_higher():
    middles, total = heights(["one", "one\ntwo\nthree\nfour", "one"])
    assert middles[1] - middles[0] == pytest.approx(middles[2] - middles[1])
    assert total > 3 * heights(["one"])[1]


def test_a_figure_that_lost_its_numbers_is_removed_in_both_kinds(tmp_path):
    make_grid(tmp_path, {"activation": ["relu", "gelu"]})
    assert "factors" in draw(tmp_path)
    edit_plan(tmp_path, levels={})
    assert "factors" not in draw(tmp_path)
    assert not list(tmp_path.glob("factors.*"))
