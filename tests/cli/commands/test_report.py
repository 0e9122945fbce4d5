"""``vitcli report DIR``."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.ablation_directory import make_finished_ablation
from vitcli.commands.report import main
from vitcli.config.errors import ConfigError

PAGES = {"report.md", "report.html", "report.tex", "report.csv"}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_finished_ablation(tmp_path / "localvit_act", seeds=(0, 1, 2))


def written(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.is_file()} - {"ablation.json"}


def test_every_format_and_figure_is_written_and_the_table_printed(runs, capsys):
    assert main([str(runs)]) == 0
    figures = {f"{name}.{kind}" for name in ("arms", "differences", "cost", "curves") for kind in ("png", "svg")}
    assert written(runs) == PAGES | figures
    out = capsys.readouterr().out
    assert "h_swish_se4" in out
    assert f"Report: {runs / 'report.md'}\n" in out


def test_without_figures_the_pages_have_none_and_those_that_lie_there_stay(runs, capsys):
    (runs / "arms.png").write_bytes(b"from before")
    assert main([str(runs), "--no-figures"]) == 0
    assert written(runs) == PAGES | {"arms.png"}
    assert (runs / "arms.png").read_bytes() == b"from before"
    assert "arms.png" not in (runs / "report.md").read_text()
    assert "<img" not in (runs / "report.html").read_text()


def test_the_terminals_format_writes_nothing(runs, capsys):
    assert main(["--format", "terminal", str(runs)]) == 0
    assert written(runs) == set()
    assert "h_swish_se4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "command line: report needs one directory"),
        (["a", "b"], "command line: report needs one directory"),
        (["a", "--format"], "--format has no value; write --format VALUE or --format=VALUE."),
        (["a", "--format", "pdf"], "--format is 'pdf'; expected all, terminal."),
        (["a", "--no-figure"], "no option '--no-figure'; did you mean --no-figures?"),
        (["nowhere"], "nowhere/ablation.json: no such file"),
    ],
)
def test_words_that_make_no_sense_are_one_sentence(words, sentence):
    with pytest.raises(ConfigError) as error:
        main(words)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_is_one_sentence_that_names_it(runs, capsys):
    (runs / "report.md").mkdir()
    with pytest.raises(
        ConfigError, match=r"report\.md: the report cannot be written \(Is a directory\); --format terminal"
    ):
        main([str(runs), "--no-figures"])


def test_the_whole_report_is_written_without_torch_and_the_tables_without_matplotlib(runs):
    script = (
        "import sys; from vitcli.commands.report import main; main(sys.argv[1:]); "
        "print([name for name in ('torch', 'lightning', 'vitmodels', 'matplotlib') if name in sys.modules])"
    )
    for words, loaded in (([], "['matplotlib']"), (["--no-figures"], "[]")):
        done = subprocess.run(
            [sys.executable, "-c", script, str(runs), *words], check=True, capture_output=True, text=True
        )
        assert done.stdout.splitlines()[-1] == loaded
