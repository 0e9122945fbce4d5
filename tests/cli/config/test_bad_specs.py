"""Every defect of the corpus ``bad_specs/`` is refused in one sentence that says where, what and, if it can, what was meant."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.cli.tiny_ablation import LIGHTNING
from vitcli.main import main

pytestmark = LIGHTNING

CORPUS = Path(__file__).parent / "bad_specs"
SECTIONS = ("ablation", "model", "data", "trainer")
CASES = {
    f"{path.stem}: {name.replace('_', ' ')}": case
    for path in sorted(CORPUS.glob("*.yaml"))
    for name, case in yaml.safe_load(path.read_text()).items()
}


def written(case: dict) -> bytes:
    """Return the bytes of a case's bad.yaml."""
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    text = case["spec"] + "[" * case.get("nested", 0) + "x" * case.get("letters", 0) + "9" * case.get("digits", 0)
    if not case.get("alone"):
        lacking = [name for name in SECTIONS if not re.search(rf"^{name}:", text, re.MULTILINE)]
        dotted = {name: re.findall(rf"^{name}\.(.*)", text, re.MULTILINE) for name in lacking}
        # What the text sets key by key goes behind the section that it changes.
        text = "".join(f"{name}: base/{name}.yaml\n" for name in lacking if dotted[name]) + f"{text}\n"
        text += "".join(f"{name}: base/{name}.yaml\n" for name in lacking if not dotted[name])
    return text.encode()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_malformed_spec_is_refused_in_one_sentence(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CORPUS / "base", "base")
    for name, text in case.get("files", {}).items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    Path("bad.yaml").write_bytes(written(case))
    before = sorted(tmp_path.rglob("*"))
    assert main(["plan", "bad.yaml", *case.get("words", [])]) == 2
    out, output = capsys.readouterr()
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before
    assert output.startswith("vitcli: ")
    assert output.count("\n") == 1
    assert output.endswith((".\n", "?\n"))
    for part in case["says"]:
        assert part in output, f"{part!r} does not follow in {output!r}"
        output = output.partition(part)[2]


def test_the_corpus_holds_a_hundred_defects_of_ten_kinds():
    assert len(CASES) >= 100
    assert len({name.partition(":")[0] for name in CASES}) >= 10
    assert (
        len(
            {
                str(case.get("spec", case.get("hex"))) + str(case.get("words")) + str(case.get("files"))
                for case in CASES.values()
            }
        )
        >= 100
    )


def test_without_a_defect_the_base_of_the_corpus_plans(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CORPUS / "base", "base")
    Path("good.yaml").write_bytes(written({"spec": "ablation.seeds: 2"}))
    assert main(["plan", "good.yaml"]) == 0
    assert "4 trials, 0 done, 4 to run" in capsys.readouterr().out
