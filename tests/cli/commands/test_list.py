"""``vitcli list`` and ``vitcli convert``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import vitmodels
from tests.golden_records import goldenfill, model_record
from vitcli.main import main
from vitcli.measure.model_list import count_models, read_models
from vitmodels.published import PAPERS, read_published

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_list_holds_every_model_as_the_code_makes_it():
    assert read_models() == list(count_models(vitmodels.MODELS)), "make pages brings the list up to date"


def test_the_page_of_models_is_what_the_command_prints(capsys):
    assert main(["list", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "models.md").read_text()


def test_the_list_imports_nothing_heavy():
    code = "import sys; from vitcli.main import main; main(['list']); print({'torch', 'timm', 'vitmodels'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "set()"


def test_a_pattern_chooses_models_and_json_has_their_figures(capsys):
    assert main(["list", "pvt_*", "--format", "json"]) == 0
    found = {one["model"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(found) == {name for name in vitmodels.MODELS if name.startswith("pvt_")} > {"pvt_tiny", "pvt_large"}
    record = model_record("pvt", "pvt_tiny")
    tiny = found["pvt_tiny"]
    assert tiny["parameters"] == record["parameters"]
    assert tiny["macs"] / 1e9 == pytest.approx(record["gmacs"], rel=1e-5)
    assert tiny["published"]["top1"] == 75.1
    assert tiny["paper"].startswith("PVT: Wang et al., ICCV 2021")


def test_the_table_names_cost_accuracy_and_paper(capsys):
    assert main(["list", "deit_tiny"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["model", "size"]
    assert line.split()[:5] == ["deit_tiny", "224", "5.717", "1.254", "72.2"]


def test_every_model_but_compatibility_presets_has_a_published_entry():
    table = read_published()
    plain = {name for name in vitmodels.MODELS if not name.endswith("_compat")}
    assert plain == set(table)
    assert {one.paper for one in table.values()} == set(PAPERS)


def test_sizes_are_those_published_or_a_remark_says_why_not(capsys):
    main(["list", "--format", "json"])
    unexplained = []
    for one in json.loads(capsys.readouterr().out):
        theirs = one["published"]
        if theirs is None or theirs["remark"]:
            continue
        ours = {"parameters": one["parameters"] / 1e6, "gmacs": one["macs"] / 1e9}
        unexplained += [
            (one["model"], key, ours[key], theirs[key])
            for key in ours
            if theirs[key] is not None and abs(ours[key] - theirs[key]) > max(0.03 * theirs[key], 0.051)
        ]
    assert not unexplained


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "pvt_tniy"], "no model is called 'pvt_tniy'; did you mean pvt_tiny?"),
        (["list", "slide"], "no model is called 'slide'; did you mean 'slide*', "),
        (["list", "--format", "csv"], "--format is 'csv'; expected table, markdown, json."),
        (["list", "a", "b"], "list takes one pattern and a format"),
        (["convert", "pvt_tiny"], "convert needs a model, a file and a target"),
        (["convert", "pvt_tniy", "a.pth", "b.safetensors"], "there is no model 'pvt_tniy'; did you mean pvt_tiny?"),
        (["convert", "pvt_tiny", "a.pth", "b.safetensors"], "There is no file 'a.pth', seen from "),
    ],
)
def test_bad_words_are_named(words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_public_checkpoint_is_written_under_our_names(tmp_path, capsys):
    public, ours = tmp_path / "public.pth", tmp_path / "ours.safetensors"
    torch.save({"model": goldenfill.make_state_dict(model_record("pvt_v2", "pvt_v2_b0"))}, public)
    assert main(["convert", "pvtv2_b0", str(public), str(ours)]) == 0
    assert "3,666,760 parameters of pvtv2_b0" in capsys.readouterr().out
    expected = vitmodels.load_checkpoint("pvtv2_b0", public).state_dict()
    written = load_file(ours)
    assert written.keys() == expected.keys()
    assert all(written[name].equal(expected[name]) for name in written)

    assert main(["convert", "pvtv2_b0", str(public), str(ours)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["convert", "pvt_tiny", str(public), str(tmp_path / "other.safetensors")]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"vitcli: {public} does not fit pvt_tiny:\n")
    assert message.count("\n") == 10
    assert not (tmp_path / "other.safetensors").exists()
    assert main(["convert", "pvtv2_b0", str(public), str(tmp_path / "nowhere" / "ours.safetensors")]) == 2
    assert "lies in a directory that does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
@pytest.mark.parametrize("kept", [0, 5, 1000])
def test_a_file_cut_short_is_refused_in_one_sentence(name, kept, tmp_path, capsys):
    whole, cut, target = tmp_path / f"whole{Path(name).suffix}", tmp_path / name, tmp_path / "target.safetensors"
    weights = {"head.weight": torch.zeros(1000)}
    torch.save(weights, whole) if whole.suffix == ".pth" else save_file(weights, whole)
    cut.write_bytes(whole.read_bytes()[:kept])
    assert main(["convert", "pvtv2_b0", str(cut), str(target)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"vitcli: {cut} ")
    assert ("the file is cut short or no checkpoint" if kept else "is empty") in message
    assert message.count("\n") == 1
    assert not target.exists()


@pytest.mark.parametrize("own", [True, False], ids=["our names", "public names"])
def test_a_file_with_another_head_is_not_written_with_a_random_one(own, tmp_path, capsys):
    state = goldenfill.make_state_dict(model_record("pvt_v2", "pvt_v2_b0"))
    if own:
        state = vitmodels.translate(state, vitmodels.PRESETS["pvtv2_b0"].rules, vitmodels.pvtv2_b0())
    torch.save(state | {"head.weight": torch.ones(10, 256), "head.bias": torch.ones(10)}, tmp_path / "ten.pth")
    assert main(["convert", "pvtv2_b0", str(tmp_path / "ten.pth"), str(tmp_path / "ours.safetensors")]) == 2
    assert capsys.readouterr().err.split("\n  ")[1:] == [
        "head.weight, shape (10, 256), expected (1000, 256)",
        "head.bias, shape (10,), expected (1000,)\n",
    ]
    assert not (tmp_path / "ours.safetensors").exists()


def test_a_page_instead_of_a_checkpoint_is_named(tmp_path, capsys):
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html>Google Drive - Virus scan warning</html>")
    assert main(["convert", "pvtv2_b0", str(tmp_path / "page.pth"), str(tmp_path / "ours.safetensors")]) == 2
    assert capsys.readouterr().err.startswith(f"vitcli: {tmp_path / 'page.pth'} is not a checkpoint but an HTML page; ")
