import json
from pathlib import Path

import pytest

from tests.cli.ablation_directory import make_finished_ablation
from vitcli.records.ablation import load
from vitcli.report.names import brief_values, short_keys, short_value, short_values
from vitcli.report.tensorboard.factors import factors

BLOCK = "model.backbone.every"


def test_a_key_is_called_by_its_last_part():
    assert short_keys([f"{BLOCK}.feed_forward.op.activation"]) == {f"{BLOCK}.feed_forward.op.activation": "activation"}


def test_keys_with_the_same_last_part_take_as_much_as_tells_them_apart():
    keys = [f"{BLOCK}.mixer.op.window", f"{BLOCK}.content.op.window", "data.batch_size"]
    assert list(short_keys(keys).values()) == ["mixer.op.window", "content.op.window", "batch_size"]


def test_the_spelling_of_a_class_is_not_part_of_the_name():
    keys = [f"{BLOCK}.mixer.op.class_path", f"{BLOCK}.feed_forward.init_args.ratio"]
    assert list(short_keys(keys).values()) == ["mixer.op", "ratio"]


def test_keys_that_differ_in_spelling_alone_stay_apart():
    keys = [f"{BLOCK}.op.class_path", f"{BLOCK}.op.init_args"]
    assert len(set(short_keys(keys).values())) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("torch.nn.Hardswish", "Hardswish"),
        ("middle", "middle"),
        ("0.5", "0.5"),
        (
            {"class_path": "vitcore.SE", "init_args": {"reduction": 4, "gate": "torch.nn.Sigmoid"}},
            "SE(reduction=4, gate=Sigmoid)",
        ),
        ({"class_path": "vitcore.SE"}, "SE"),
        ({"class_path": "vitcore.SE", "init_args": None}, "SE"),
        ([1, 2.5], "[1, 2.5]"),
        (None, "none"),
        (True, "true"),
    ],
)
def test_a_value_is_written_short(value, text):
    assert short_value(value) == text


def test_different_classes_of_the_same_name_keep_their_package():
    assert short_values(["torch.nn.GELU", "vitcore.GELU"]) == ["torch.nn.GELU", "vitcore.GELU"]
    assert short_values(["torch.nn.GELU", "torch.nn.GELU"]) == ["GELU", "GELU"]


def test_a_long_value_is_written_without_the_arguments_of_its_parts():
    part = {"class_path": "vitcore.Attention", "init_args": {f"argument{number}": number for number in range(20)}}
    stages = {"stage1": {"mixer": part}}
    whole = {"class_path": "vitmodels.pale_tiny", "init_args": {"img_size": 32, "stem": part, **stages}}
    assert short_values([whole, "none"]) == ["pale_tiny(img_size=32, stem=Attention)", "none"]
    other = {"class_path": "vitmodels.pale_tiny", "init_args": {**whole["init_args"], "stage1": {"mixer": "none"}}}
    assert len(set(short_values([whole, other]))) == 2


def ablation_with(directory: Path, differences: dict[str, dict]) -> Path:
    make_finished_ablation(directory, seeds=(0,))
    plan = json.loads((directory / "ablation.json").read_text())
    for arm, difference in differences.items():
        plan["arms"][arm]["difference"] = difference
    (directory / "ablation.json").write_text(json.dumps(plan))
    return directory


def test_an_arm_that_does_not_differ_in_a_factor_has_the_baselines_value(tmp_path):
    table = factors([load(make_finished_ablation(tmp_path / "a", seeds=(0,)))])
    assert table["a", "relu6"] == {
        "activation": "ReLU6", "channel_attention": "Identity", "placement": "middle",
    }  # fmt: skip
    assert table["a", "no_depthwise"]["placement"] == "none"


def test_numbers_stay_numbers_and_mixed_values_become_text(tmp_path):
    ablation = load(
        ablation_with(
            tmp_path / "a",
            {
                "h_swish": {"model.ratio": [4, 2.5], "model.window": [7, None], "model.bias": [True, False]},
                "h_swish_eca": {},
                "h_swish_se4": {},
                "no_depthwise": {},
            },
        )
    )
    assert factors([ablation])["a", "h_swish"] == {"ratio": 2.5, "window": "none", "bias": False}
    assert factors([ablation])["a", "relu6"] == {"ratio": 4.0, "window": "7", "bias": True}


def test_brief_values_keep_only_what_tells_them_apart():
    def squeeze(reduction, gate="Sigmoid"):
        return {"class_path": "vitcore.SqueezeExcite", "init_args": {"reduction": reduction, "gate": gate}}

    relu = {"class_path": "torch.nn.ReLU6", "init_args": {"inplace": False}}
    assert brief_values([squeeze(4), squeeze(48), relu, None]) == [
        "SqueezeExcite 4",
        "SqueezeExcite 48",
        "ReLU6",
        "none",
    ]
    assert brief_values([squeeze(4), relu, "torch.nn.Identity"]) == ["SqueezeExcite", "ReLU6", "Identity"]
    assert brief_values([squeeze(4), squeeze(4, "Tanh"), squeeze(2)]) == [
        "SqueezeExcite reduction=4 gate=Sigmoid", "SqueezeExcite reduction=4 gate=Tanh", "SqueezeExcite reduction=2 gate=Sigmoid",
    ]  # fmt: skip
