"""``vitcli show attention``: it measures the tokens that the ops declare, prints them and writes pictures."""

import io
import struct

import numpy as np
import pytest
import torch
from rich.console import Console

from vitcli.config.origin import Origin
from vitcli.main import main
from vitcli.show.build import build_op, find_op
from vitcli.show.gallery import examples
from vitcli.show.levels import LEVELS, levels
from vitcli.show.measure import measure
from vitcli.show.terminal import print_sight

LINEAR = {"class_path": "vitcore.LinearProjection"}
H, W, QUERY = 9, 12, (4, 7)


def sight(name, h=H, w=W, query=QUERY, channels=32, **arguments):
    op = build_op(find_op(name, Origin("here", "OP")), arguments, channels)
    return measure(op, h, w, channels, query)


def seen(name, **arguments):
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(sight(name, **arguments).seen), strict=True)}


def tokens(condition):
    return {(i, j) for i in range(H) for j in range(W) if condition(i, j)}


@pytest.mark.parametrize(
    ("name", "arguments", "declared"),
    [
        ("GlobalAttention", {"head_dim": 16}, lambda i, j: True),
        ("WindowAttention", {"window": 4}, lambda i, j: i // 4 == 1 and j // 4 == 1),
        ("WindowAttention", {"window": 4, "shift": 2}, lambda i, j: (i + 2) // 4 == 1 and (j + 2) // 4 == 2),
        (
            "PaleAttention",
            {"pale": 3, "projection": LINEAR},
            lambda i, j: i % 3 == QUERY[0] % 3 or j % 4 == QUERY[1] % 4,
        ),
        ("SlideAttention", {"kernel_size": 3, "head_dim": 16}, lambda i, j: abs(i - 4) <= 1 and abs(j - 7) <= 1),
        ("AxialAttention", {"order": "parallel", "head_dim": 16}, lambda i, j: i == 4 or j == 7),
        ("Mlp", {}, lambda i, j: (i, j) == QUERY),
        ("Nothing", {}, lambda i, j: False),
    ],
)
def test_the_measured_tokens_are_the_declared_ones(name, arguments, declared):
    assert seen(name, **arguments) == tokens(declared)


def test_clusters_depend_on_the_content_and_windows_do_not():
    window = sight("WindowAttention", window=4)
    cluster = sight("ClusterAttention", head_dim=32, cluster_size=16, overlap=0)
    assert not window.depends_on_content
    assert not window.elsewhere.any()
    assert cluster.depends_on_content
    assert cluster.elsewhere.any()
    assert not (cluster.elsewhere & (cluster.strength > 0)).any()


def test_strengths_are_relative_to_the_largest_and_weaker_paths_fall_into_weaker_classes():
    found = sight("LocalityFeedForward", channel_attention={"class_path": "vitcore.SqueezeExcite"})
    near = np.zeros((H, W), dtype=bool)
    near[3:6, 6:9] = True
    assert found.strength.max() == 1
    assert found.seen.all()
    assert levels(found)[near].min() > levels(found)[~near].max()


def test_the_same_call_measures_the_same_and_leaves_the_global_random_numbers_alone():
    op = find_op("WindowAttention", Origin("here", "OP"))
    torch.manual_seed(1)
    first = build_op(op, {"window": 4}, 32)
    state = torch.get_rng_state()
    one = measure(first, H, W, 32, QUERY)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(one.strengths, sight("WindowAttention", window=4).strengths)


def show(capsys, *words):
    code = main(["show", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_terminal_shows_one_line_a_row_then_the_legend_and_the_count(capsys):
    words = ["WindowAttention", "--init.window", "3", "--height", "5", "--width", "7", "--query", "1,4"]
    code, out, _ = show(capsys, "attention", *words)
    lines = [line.rstrip() for line in out.splitlines()]
    assert code == 0
    assert lines[0] == "WindowAttention(window=3) on 5 x 7 tokens"
    assert lines[1:6] == [
        ". . . # # # .",
        ". . . # @ # .",
        ". . . # # # .",
        ". . . . . . .",
        ". . . . . . .",
    ]
    assert f"#  {LEVELS[-1].name}" in lines
    assert lines[-1] == "It sees 9 of 35 tokens."
    assert "\x1b" not in out


def test_without_arguments_an_op_is_drawn_as_in_its_picture(capsys):
    _, out, _ = show(capsys, "attention", "PaleAttention")
    assert out.startswith("PaleAttention(pale=4")
    assert "It sees 112 of 256 tokens." in out


def test_a_query_that_does_not_see_itself_is_marked_so(capsys):
    _, out, _ = show(capsys, "attention", "Nothing", "--height", "2", "--width", "2", "--query", "0,1")
    assert out.splitlines()[1].rstrip() == ". o"
    assert "It sees 0 of 4 tokens." in out


def test_a_picture_is_written_as_png_or_svg(capsys, tmp_path):
    for name in ("one.png", "two.svg"):
        code, out, _ = show(capsys, "attention", "KMeansAttention", "--height", "8", "--width", "8",
                            "--init.cluster_size", "16", "--out", str(tmp_path / name))  # fmt: skip
        assert code == 0
        assert out.splitlines()[-1] == f"Picture: {tmp_path / name}"
    png = (tmp_path / "one.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert min(struct.unpack(">II", png[16:24])) > 200
    assert "<svg" in (tmp_path / "two.svg").read_text()


@pytest.mark.slow
def test_all_ops_make_one_figure_or_one_picture_each(capsys, tmp_path):
    small = ["--height", "4", "--width", "4"]
    assert show(capsys, "attention", "--all", *small, "--out", str(tmp_path / "all.png"))[0] == 0
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    assert show(capsys, "attention", "--all", *small, "--out", str(tmp_path / "each"))[0] == 0
    files = [example.file for example in examples()]
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == sorted(files)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["atention", "Mlp"], "show knows no 'atention'; did you mean attention?"),
        (["attention"], "needs either an op, for example PaleAttention, or --all."),
        (
            ["attention", "PaleAtention"],
            "OP is 'PaleAtention', which is not an op of vitcore; did you mean PaleAttention?",
        ),
        (["attention", "vitcore.PaleAtention"], "which cannot be imported; did you mean vitcore.PaleAttention?"),
        (["attention", "torch.nn.Linear"], "OP is 'torch.nn.Linear', which takes no width"),
        (["attention", "WindowAttention", "--init.windw", "3"], "did you mean window?"),
        (["attention", "WindowAttention", "--init.window", "wide"], "init.window is 'wide'; expected int."),
        (
            ["attention", "WindowAttention", "--init.shift", "9"],
            "WindowAttention: shift must lie in 0..window-1, got window=7, shift=9.",
        ),
        (["attention", "Mlp", "--heigth", "9"], "did you mean height?"),
        (["attention", "Mlp", "--height", "0"], "height is 0; expected at least 1."),
        (["attention", "Mlp", "--query", "3"], "query is 3; expected ROW,COLUMN"),
        (["attention", "Mlp", "--query", "16,0"], "expected a row in 0..15 and a column in 0..15."),
        (["attention", "Mlp", "--out", "a.pdf"], "out is 'a.pdf'; expected a file that ends in .png or .svg."),
        (["attention", "Mlp", "--out", "nowhere/a.png"], "the directory 'nowhere' does not exist; create it first."),
        (["attention", "MessengerAttention", "--init.messengers", "prefix"], "has no messenger of its own"),
        (["attention", "PatchMerging"], "PatchMerging returns (1, 8, 8, 64) for a map (1, 16, 16, 64)"),
        (["attention", "--all"], "--all needs --out"),
        (["attention", "Mlp", "--all", "--out", "a.png"], "needs either an op"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(capsys, words, message):
    code, out, err = show(capsys, *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("vitcli: command line: ")
    assert err.count("\n") == 1


def test_a_terminal_gets_a_colour_for_each_class_beside_the_characters():
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    print_sight(sight("WindowAttention", window=4), "title", console)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 1 + H + 3 + 1
    strongest = LEVELS[-1].colour.lstrip("#")
    code = ";".join(str(int(strongest[i : i + 2], 16)) for i in (0, 2, 4))
    assert f"48;2;{code}" in lines[1 + QUERY[0]]
    assert "# " in lines[1 + QUERY[0]]
    assert f"48;2;{code}" not in lines[1]


def test_a_swapped_part_needs_no_package_before_its_name(capsys):
    short, long = (f"--init.projection={name}" for name in ("LinearProjection", "vitcore.LinearProjection"))
    output = []
    for word in (short, long):
        assert (
            main(["show", "attention", "PaleAttention", "--init.pale", "4", word, "--height", "8", "--width", "8"]) == 0
        )
        output.append(capsys.readouterr().out)
    assert output[0] == output[1]


def test_nothing_is_never_offered(capsys):
    assert main(["show", "attention", "Nothin"]) == 2
    assert "did you mean Nothing" not in capsys.readouterr().err
