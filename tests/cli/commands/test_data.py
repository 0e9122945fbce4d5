"""vitcli data check: what is in a folder of images and what is wrong with it."""

import json
import shutil

import pytest

from tests.tasks.data.trees import cut_in_half, write_tree
from vitcli.main import main


@pytest.fixture
def root(tmp_path):
    return write_tree(tmp_path / "animals")


@pytest.fixture
def check(root, capsys):
    """Return a function that checks the folder and returns the exit code and what was printed."""

    def run(*words):
        code = main(["data", "check", str(root), *words])
        return code, capsys.readouterr().out

    return run


def test_a_folder_in_order_is_described(check, root):
    (root / "train" / ".ipynb_checkpoints").mkdir()
    (root / "train" / "ant" / "._0.jpg").write_bytes(b"")
    assert check() == (
        0,
        "train: 6 images in 3 classes, 2 in a class\n"
        "  width x height, smallest / median / largest: 64 x 48 / 64 x 48 / 64 x 48; modes: RGB 6; damaged: 0\n"
        "val: 6 images in 3 classes, 2 in a class\n"
        "  width x height, smallest / median / largest: 64 x 48 / 64 x 48 / 64 x 48; modes: RGB 6; damaged: 0\n"
        f"{root}: no problem found\n",
    )


def test_the_same_as_json(check):
    code, text = check("--format", "json")
    found = json.loads(text)
    assert code == 0
    assert found["splits"]["train"]["classes"] == {"ant": 2, "bee": 2, "cat": 2}
    assert found["problems"] == found["shared"] == []


def test_every_problem_is_named_and_ends_with_2(check, root):
    cut = cut_in_half(root / "train" / "cat" / "1.jpg")
    empty = root / "val" / "ant" / "0.jpg"
    empty.write_bytes(b"")
    twice = shutil.copy(root / "train" / "bee" / "0.jpg", root / "val" / "bee" / "again.jpg")
    code, text = check()
    problems = [line.removeprefix("problem: ") for line in text.splitlines() if line.startswith("problem: ")]
    assert code == 2
    assert len(problems) == 3
    assert problems[0].startswith(f"{cut} cannot be read: image file is truncated")
    assert problems[1] == f"{empty} cannot be read: it is not an image"
    assert problems[2] == f"the same image lies in several splits: {root / 'train' / 'bee' / '0.jpg'}, {twice}"
    assert text.splitlines()[-1] == f"{root}: 3 problems"


def test_an_unlabelled_test_folder_is_a_problem_unless_another_is_the_test_set(check, root):
    (root / "test").mkdir()
    shutil.copy(root / "val" / "ant" / "0.jpg", root / "test" / "0.jpg")
    code, text = check()
    assert code == 2
    assert f"problem: no class folder in {root / 'test'}, so that the images in it have no labels" in text
    assert check("--test_split", "val")[0] == 0


def test_folders_that_no_run_reads_are_named(check, root):
    shutil.copytree(root / "val", root / "testing")
    assert f"not read: {root / 'testing'}" in check()[1].splitlines()


def test_missing_and_incomplete_splits_are_problems(check, root):
    shutil.rmtree(root / "val" / "bee")
    code, text = check()
    assert code == 2
    assert f"{root / 'val'} must hold the class folders of {root / 'train'}, but lacks bee" in text
    shutil.rmtree(root / "val")
    assert f"problem: no folder {root / 'val'}" in check()[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "data needs a word and a folder"),
        (["chek", "."], "data needs a word and a folder"),
        (["check", "nowhere"], "there is no folder 'nowhere'"),
        (["check", ".", "--chanels", "1"], "data has no option '--chanels'; did you mean --channels?"),
        (["check", ".", "--channels", "x"], "--channels is 'x'; expected a whole number of at least 1"),
        (["check", ".", "--channels"], "--channels has no value"),
        (["check", ".", "--format", "xml"], "--format is 'xml'; expected text, json"),
    ],
)
def test_words_that_make_no_sense_are_refused(words, message, capsys):
    assert main(["data", *words]) == 2
    assert capsys.readouterr().err.startswith(f"vitcli: command line: {message}")
