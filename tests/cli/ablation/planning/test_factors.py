"""Factors and their levels as arms."""

import pytest

from vitcli.ablation.planning.factors import expand_factors
from vitcli.ablation.planning.section import read_spec
from vitcli.ablation.planning.spec import AblationSpec
from vitcli.config.errors import ConfigError

FACTORS = {
    "activation": {"relu6": {}, "gelu": {"model.act": "torch.nn.GELU"}, "silu": {"model.act": "torch.nn.SiLU"}},
    "gate": {"none": {}, "se": {"model.gate": "vitcore.SqueezeExcite"}},
}


def arms(**section):
    return expand_factors({"factors": FACTORS, **section}, {}, "a.yaml")["arms"]


def spec_of(**section) -> AblationSpec:
    return read_spec([("a.yaml", section)], "a.yaml")[0]


def test_a_grid_crosses_all_levels_in_order():
    expected = ["relu6-none", "relu6-se", "gelu-none", "gelu-se", "silu-none", "silu-se"]
    assert list(arms()) == list(arms(design="grid")) == expected
    assert arms()["silu-se"] == {"model.act": "torch.nn.SiLU", "model.gate": "vitcore.SqueezeExcite"}
    assert arms()["relu6-none"] == {}


def test_one_at_a_time_changes_one_factor_from_the_defaults():
    assert list(arms(design="one_at_a_time")) == ["relu6-none", "gelu-none", "silu-none", "relu6-se"]


def test_a_list_names_combinations_and_the_rest_is_default():
    chosen = arms(design=[{}, {"gate": "se"}, {"activation": "gelu", "gate": "se"}])
    assert list(chosen) == ["relu6-none", "relu6-se", "gelu-se"]


def test_the_defaults_are_the_baseline_unless_another_is_named():
    spec = spec_of(factors=FACTORS)
    assert (spec.baseline, len(spec.arms)) == ("relu6-none", 6)
    assert spec_of(factors=FACTORS, baseline="gelu-se").baseline == "gelu-se"


def test_arms_beside_factors_come_after_them():
    spec = spec_of(factors=FACTORS, arms={"wide": {"model.width": 24}})
    assert list(spec.arms)[-1] == "wide"


def test_excluded_arms_are_not_chosen():
    spec = spec_of(factors=FACTORS, exclude="gelu-se,silu-se")
    assert spec.chosen == ["relu6-none", "relu6-se", "gelu-none", "silu-none"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"factors": {}}, "ablation.factors is {}; expected factors"),
        (
            {"factors": {"gate": {}}},
            "ablation.factors.gate is {}; expected levels, each a name and the keys that it changes.",
        ),
        ({"factors": {"gate": {"se": 4}}}, "ablation.factors.gate.se is 4; expected keys"),
        ({"factors": FACTORS, "design": "gird"}, "ablation.design is 'gird'; expected grid, one_at_a_time"),
        ({"factors": FACTORS, "design": "gird"}, "did you mean grid?"),
        ({"factors": FACTORS, "design": [{"gaet": "se"}]}, "names 'gaet', which is not a factor; did you mean gate?"),
        (
            {"factors": FACTORS, "design": [{"gate": "es"}]},
            "names 'es', which is not a level of gate; valid names are none, se.",
        ),
        ({"design": "grid"}, "ablation.design is set, but there are no ablation.factors"),
        (
            {"factors": {**FACTORS, "again": {"x": {"model.act": 1}}}},
            "again.x changes model.act, which factor activation changes too",
        ),
        ({"factors": FACTORS, "arms": {"gelu-se": {}}}, "an arm named 'gelu-se', which the factors make too"),
        (
            {"factors": {f"f{i}": {str(k): {} for k in range(10)} for i in range(4)}},
            "ablation.design is 'grid' of 10,000 arms; expected at most 1,000",
        ),
        ({"factors": FACTORS, "exclude": ["gelu_se"]}, "ablation.exclude names 'gelu_se', which is not an arm"),
    ],
)
def test_a_factor_that_makes_no_sense_is_named(section, message):
    with pytest.raises(ConfigError) as caught:
        spec_of(**section)
    assert str(caught.value).startswith("a.yaml: ")
    assert message in str(caught.value)
