"""The factors of ablations as a table without gaps, as TensorBoard's HParams tab wants it."""

from collections.abc import Sequence
from typing import Any

from vitcli.records.ablation import Ablation
from vitcli.report.names import brief_values, short_keys

Factor = bool | float | str
ABSENT = "-"


def factors(ablations: Sequence[Ablation]) -> dict[tuple[str, str], dict[str, Factor]]:
    """Return (ablation, arm) -> short factor name -> value.

    The factors that arms were made from come first, with their own names and levels; an arm that was not made from them has
    the level ``-``. The resolved keys in which some arm differs follow, except those that have the name of a factor.

    An arm that does not differ in a key has the baseline's value. An ablation in which no arm differs in a key leaves it out,
    because its records do not say what the value is. Values that are neither all numbers nor all truth values become text.
    """
    keys = dict.fromkeys(key for ablation in ablations for arm in ablation.arms for key in arm.difference)
    names = short_keys(keys)
    found: dict[tuple[str, str], dict[str, Factor]] = {
        (ablation.name, arm.name): {} for ablation in ablations for arm in ablation.arms
    }
    designed = {ablation.name: _designed(ablation) for ablation in ablations}
    for ablation in ablations:
        for arm in ablation.arms:
            levels = ablation.levels.get(arm.name, {})
            found[ablation.name, arm.name] |= {name: levels.get(name, ABSENT) for name in designed[ablation.name]}
    for key, name in names.items():
        if any(name in of for of in designed.values()):
            continue
        values = {arm: value for ablation in ablations for arm, value in _column(ablation, key).items()}
        for arm_key, value in zip(values, _alike(list(values.values())), strict=True):
            found[arm_key][name] = value
    return found


def _designed(ablation: Ablation) -> list[str]:
    return list(dict.fromkeys(name for levels in ablation.levels.values() for name in levels))


def _column(ablation: Ablation, key: str) -> dict[tuple[str, str], Any]:
    pairs = {arm.name: arm.difference[key] for arm in ablation.arms if key in arm.difference}
    if not pairs:
        return {}
    default = next(iter(pairs.values()))[0]
    return {(ablation.name, arm.name): pairs[arm.name][1] if arm.name in pairs else default for arm in ablation.arms}


def _alike(values: list[Any]) -> Sequence[Factor]:
    if all(isinstance(value, bool) for value in values):
        return values
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [float(value) for value in values]
    return brief_values(values)
