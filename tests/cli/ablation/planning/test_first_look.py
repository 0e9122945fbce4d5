"""What is wrong in the files is said before torch is imported, in the words of the complete reading."""

import subprocess
import sys
from dataclasses import replace

import pytest
from lightning.pytorch import Trainer

from tests.cli.tiny_ablation import ABLATION, PLAIN, write
from vitcli.ablation.planning.first_look import ENTRIES, GROUPS, look_at_section
from vitcli.ablation.planning.section import ENTRIES as COMPLETE
from vitcli.ablation.planning.section import read_spec
from vitcli.config.command_line import MOVED, TOP, parse_ablation_file
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import base_config, schema
from vitcli.config.trainer_keys import trainer_keys
from vitmodels.skeletons.entries import callable_entries

SECTION_FAULTS = {
    "misspelt entry": ["--ablation.sedes", "3"],
    "appended to a misspelt entry": ["--ablation.onyl+", "gelu"],
    "misspelt entry of a group": ["--ablation.metric.nme", "x"],
    "misspelt entry in a group": ["--ablation.seeds", "{baseline: 3, arm: 3}"],
    "word for a number of seeds": ["--ablation.seeds", "many"],
    "word for a number": ["--ablation.workers", "all"],
    "word for a margin": ["--ablation.margin", "small"],
    "misspelt arm": ["--ablation.only", "geluu"],
    "one misspelt arm of two": ["--ablation.only", "gelu, plian"],
    "misspelt baseline": ["--ablation.baseline", "plian"],
    "misspelt arm to leave out": ["--ablation.exclude", "[glue]"],
}


def error_of(function, *arguments):
    with pytest.raises(ConfigError) as error:
        function(*arguments)
    return str(error.value)


@pytest.mark.parametrize("words", SECTION_FAULTS.values(), ids=SECTION_FAULTS)
def test_the_first_look_says_what_the_complete_reading_says(words, tmp_path):
    arguments = parse_ablation_file("plan", [write(tmp_path / "a.yaml", PLAIN, {"ablation": ABLATION}), *words])
    assert error_of(look_at_section, arguments) == error_of(read_spec, arguments.ablation_sections(), arguments.place)


@pytest.mark.parametrize(
    "overrides",
    [
        {"modle.backbone.width": 8}, {"trainer.max_epoch": 3}, {"trainer": {"epochs": 3}}, {"trainer.calbacks+": []},
        {"trainer.max_epochs": "three"}, {"trainer": {"limit_train_batches": "half"}}, {"trainer.barebones": "maybe"},
    ],
)  # fmt: skip
def test_a_misspelt_key_or_word_is_named_as_the_complete_reading_names_it(overrides, tmp_path):
    path = write(tmp_path / "a.yaml", PLAIN, {"ablation": ABLATION})
    wrong = replace(parse_ablation_file("plan", [path]), overrides=overrides)
    assert error_of(wrong.refuse_unknown_keys) == error_of(base_config, wrong)


def test_what_can_be_set_is_what_the_complete_reading_knows():
    assert set(TOP) == set(schema())
    assert set(ENTRIES) == set(COMPLETE)
    assert set(GROUPS) <= set(COMPLETE)
    assert set(trainer_keys()) == set(callable_entries(Trainer))


@pytest.mark.parametrize("key", MOVED)
def test_the_refusal_of_a_lightningcli_key_says_where_it_belongs(key, tmp_path):
    path = write(tmp_path / "a.yaml", PLAIN, {"ablation": ABLATION, key: {"lr": 0.1}})
    text = error_of(parse_ablation_file, "plan", [path])
    assert text.startswith(f"{path}: {key} is set, but {key} ")
    assert "trainer, model, data" in text or "model." in text


def test_arms_of_factors_are_left_to_the_complete_reading(tmp_path):
    section = {"factors": {"size": {"small": {}, "big": {"model.backbone.width": 32}}}, "only": ["big"]}
    look_at_section(parse_ablation_file("plan", [write(tmp_path / "a.yaml", PLAIN, {"ablation": section})]))


def test_no_fault_in_the_files_waits_for_torch(tmp_path):
    good = write(tmp_path / "good.yaml", PLAIN, {"ablation": ABLATION})
    (tmp_path / "broken.yaml").write_text("trainer: [")
    (tmp_path / "empty.yaml").touch()
    faults = [
        *(["plan", good, *words] for words in SECTION_FAULTS.values()),
        ["fit", "--config", good, "--ablation.only", "geluu"],
        ["speed", good, "--ablation.only", "geluu"],
        ["fit", "--config", good, "--optimizer.lr", "1"],
        ["fit", "--config", good, "--confg", "x"],
        ["fit", "--config", good, "--trainer.max_epoch", "x"],
        ["fit", "--config", good, "--trainer.max_epochs", "three"],
        ["fit", "--config", good, "--quik"],
        ["fit", "--config", str(tmp_path / "empty.yaml")],
        ["show"],
        ["show", "attention"],
        ["dashboard"],
        ["dashboard", str(tmp_path), "--port", "http"],
        ["--verson"],
        ["fit", "--config", str(tmp_path / "god.yaml")],
        ["plan", str(tmp_path / "broken.yaml")],
        ["plann", good],
        ["plan", good, "--format", "jsno"],
        ["completion", "bsh"],
    ]
    code = "import sys; from vitcli.main import main; print([main(words) for words in eval(sys.argv[1])], 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code, repr(faults)], capture_output=True, text=True, check=True)
    assert run.stdout.split("]")[-1].strip() == "False"
    assert run.stdout.count("2") == len(faults) == run.stderr.count("vitcli: ")
    assert f"did you mean {good}?" in run.stderr
    assert "confg has no entry 'confg'; did you mean config?" in run.stderr
    assert "there is no option --quik; did you mean --quick?" in run.stderr
    assert "there is no option '--verson'; did you mean --version?" in run.stderr
    assert "--port is 'http'; expected a number from 0 to 65,535." in run.stderr
