"""The name of a file becomes the name of a folder, which must lie where the results belong."""

import shutil
from pathlib import Path

import pytest

from tests.cli.config.test_bad_specs import CORPUS, written
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.config.names import folder_key, name_fault, run_name
from vitcli.main import main

pytestmark = LIGHTNING


@pytest.mark.parametrize("command", ["plan", "fit"])
def test_a_file_of_dots_does_not_write_into_the_folder_above(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CORPUS / "base", "base")
    Path("...yaml").write_bytes(written({"spec": "ablation.seeds: 2"}))
    before = sorted(tmp_path.rglob("*"))
    assert main([command, "--config", "...yaml"]) == 2
    output = capsys.readouterr().err
    assert output == "vitcli: ...yaml: the results would lie in a folder named '..'; give the file another name.\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "file", ["...yaml", ".yaml", "..yaml", "x/-rf.yaml", "a\x1b[1m.yaml", "a\u202eb.yaml", "a\nb.yaml"]
)
def test_a_file_whose_name_cannot_name_a_folder_is_refused(file):
    with pytest.raises(ValueError, match="give the file another name"):
        run_name(file)


@pytest.mark.parametrize("file", ["my ablation.yaml", "x/v1.5.yaml", "Größe.yaml", "a.b.c"])
def test_ordinary_names_of_files_are_kept(file):
    assert run_name(file) == Path(file).stem


@pytest.mark.parametrize("name", ["k3", "h_swish-eca", "v1.5", "Größe", "=1", "重み", "means", "report"])
def test_ordinary_names_of_arms_are_kept(name):
    assert name_fault(name) == ""


def test_names_are_compared_as_the_least_exact_file_system_does():
    assert folder_key("Straße") == folder_key("STRASSE")
    assert folder_key("cafe\u0301") == folder_key("CAFÉ")
    assert folder_key("k3") != folder_key("k5")
