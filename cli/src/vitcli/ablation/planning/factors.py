"""Arms made from factors and their levels: every combination, one change at a time, or a list of combinations."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from vitcli.ablation.planning.difference import declared_keys
from vitcli.config.errors import ConfigError, alike, nearest
from vitcli.config.names import FOLDER_NAME, name_fault

DESIGNS = ("grid", "one_at_a_time")
MOST_ARMS = 1000
"""Largest number of arms of a design. A larger one is a typing error."""


def expand_factors(section: Mapping[str, Any], places: Mapping[str, str], place: str) -> dict[str, Any]:
    """Return an ``ablation`` section in which arms and their ``levels`` stand in place of its factors and design.

    The first level of each factor is its default. All defaults together are the first arm, which is the baseline unless
    another one is named. The design ``grid`` crosses all levels, and ``one_at_a_time`` changes one factor at a time. A list
    names combinations: each is a mapping factor -> level, and a factor that is left out has its default. An arm's name is
    its levels, joined by ``-``.

    Args:
        section: What was set. Arms given beside factors come after those made from the factors.
        places: Where each key was set.
        place: Where to look for a key that was not.

    Raises:
        ConfigError: A factor has no level, a level is not a mapping, two arms get the same name, two factors change the same
            key, or the design is unknown or too large.
    """
    rest = {key: value for key, value in section.items() if key not in ("factors", "design")}
    if "factors" not in section:
        if "design" in section:
            at = places.get("design", place)
            raise ConfigError(f"{at}: ablation.design is set, but there are no ablation.factors for it.")
        return {**rest, "levels": {}}
    factors = _check_levels(section["factors"], places.get("factors", place))
    at = places.get("design", place)
    arms: dict[str, dict[str, Any]] = {}
    chosen: dict[str, dict[str, str]] = {}
    for levels in _combinations(factors, section.get("design", "grid"), at):
        name = "-".join(levels.values())
        if name in arms:
            raise ConfigError(f"{at}: ablation.factors make two arms named {name!r}; give the levels other names.")
        chosen[name] = levels
        arms[name] = {key: value for factor, level in levels.items() for key, value in factors[factor][level].items()}
    given = section.get("arms") or {}
    if not isinstance(given, Mapping):
        return {**rest, "levels": {}}  # the caller refuses it, as it does without factors
    if twice := sorted(set(arms) & set(given)):
        at = places.get("arms", place)
        raise ConfigError(f"{at}: ablation.arms has an arm named {twice[0]!r}, which the factors make too.")
    return {"baseline": next(iter(arms)), **rest, "arms": {**arms, **given}, "levels": chosen}


def _check_levels(factors: Any, place: str) -> dict[str, dict[str, dict[str, Any]]]:
    if not isinstance(factors, Mapping) or not factors:
        raise ConfigError(
            f"{place}: ablation.factors is {factors!r}; expected factors, each a name and its levels, "
            "each a name and the keys that it changes."
        )
    owner: dict[tuple[str, ...], str] = {}
    checked: dict[str, dict[str, dict[str, Any]]] = {}
    for factor, levels in factors.items():
        if not isinstance(levels, Mapping) or not levels:
            raise ConfigError(
                f"{place}: ablation.factors.{factor} is {levels!r}; "
                "expected levels, each a name and the keys that it changes."
            )
        if fault := name_fault(str(factor)):
            raise ConfigError(f"{place}: ablation.factors has a factor named {factor!r}; {fault}")
        if (count := Counter(map(str, levels))).total() > len(count):
            twice = count.most_common(1)[0][0]
            raise ConfigError(
                f"{place}: ablation.factors.{factor} has two levels named {twice!r}, as text and as a number; "
                "give one another name."
            )
        for level, change in levels.items():
            if fault := FOLDER_NAME if isinstance(level, bool) or level is None else name_fault(str(level)):
                raise ConfigError(f"{place}: ablation.factors.{factor} has a level named {level!r}; {fault}")
            if change is not None and not isinstance(change, Mapping):
                raise ConfigError(
                    f"{place}: ablation.factors.{factor}.{level} is {change!r}; "
                    "expected keys and the values that the level gives them."
                )
            for names, key in declared_keys(change or {}):
                if owner.setdefault(names, str(factor)) != str(factor):
                    raise ConfigError(
                        f"{place}: ablation.factors.{factor}.{level} changes {key}, "
                        f"which factor {owner[names]} changes too."
                    )
        checked[str(factor)] = {str(level): dict(change or {}) for level, change in levels.items()}
    return checked


def _combinations(factors: dict[str, dict[str, dict[str, Any]]], design: Any, place: str) -> list[dict[str, str]]:
    default = {factor: next(iter(levels)) for factor, levels in factors.items()}
    if isinstance(design, list) and design:
        return [default | _combination(one, factors, place) for one in design]
    if design == "grid":
        count = math.prod(len(levels) for levels in factors.values())
        if count > MOST_ARMS:
            raise ConfigError(
                f"{place}: ablation.design is 'grid' of {count:,} arms; "
                f"expected at most {MOST_ARMS:,}: leave levels out or take one_at_a_time."
            )
        return [dict(zip(factors, levels, strict=True)) for levels in itertools.product(*factors.values())]
    if design == "one_at_a_time":
        changed = [{factor: level} for factor, levels in factors.items() for level in list(levels)[1:]]
        return [default, *(default | one for one in changed)]
    raise ConfigError(
        f"{place}: ablation.design is {design!r}; expected {', '.join(DESIGNS)} or a list of combinations{alike(design, DESIGNS)}"
    )


def _combination(one: Any, factors: dict[str, dict[str, dict[str, Any]]], place: str) -> dict[str, str]:
    if not isinstance(one, Mapping):
        raise ConfigError(f"{place}: ablation.design has {one!r}; expected factors and their levels.")
    for factor, level in one.items():
        if factor not in factors:
            raise ConfigError(
                f"{place}: ablation.design names {factor!r}, which is not a factor{nearest(str(factor), factors)}"
            )
        if str(level) not in factors[factor]:
            raise ConfigError(
                f"{place}: ablation.design names {level!r}, which is not a level of {factor}"
                f"{nearest(str(level), factors[factor])}"
            )
    return {factor: str(level) for factor, level in one.items()}
