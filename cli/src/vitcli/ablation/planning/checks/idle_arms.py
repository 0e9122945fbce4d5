"""Arms that would compare nothing are refused: arms that compute the same, and values that a trial overwrites."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vitcli.ablation.planning.difference import declared_keys, difference, flat
from vitcli.ablation.planning.identity import NO_RESULT, is_below
from vitcli.config.errors import ConfigError

OVERWRITTEN = {
    ("seed_everything",): "every trial sets it to its own seed; set ablation.seeds, and remove it from the arm.",
    ("data", "seed"): "every trial sets it to its own seed; set ablation.seeds, and remove it from the arm.",
    ("runs",): "the trials of all arms lie in one directory; set it beside the ablation section.",
}
"""What an arm cannot set, and why."""


def refuse_overwritten(change: Mapping[str, Any], place: str) -> None:
    """Stop if an arm sets a value that each trial sets by itself.

    Args:
        change: What the arm sets.
        place: The arm, for the message.

    Raises:
        ConfigError: The arm sets such a value.
    """
    for names, written in declared_keys(change):
        if names in OVERWRITTEN:
            raise ConfigError(f"{place}: the arm sets {written}, but {OVERWRITTEN[names]}")


def refuse_repeated_keys(changes: Iterable[Mapping[str, Any]], place: str) -> None:
    """Stop if one place sets one key of an arm twice, in two spellings.

    Args:
        changes: What the place sets in the arm.
        place: The file and the arm, for the message.

    Raises:
        ConfigError: A key is set twice.
    """
    known: dict[tuple[str, ...], str] = {}
    for change in changes:
        for names, written in declared_keys(change):
            if written.endswith("+"):  # appended to what was set
                continue
            if names in known:
                raise ConfigError(
                    f"{place}: {'.'.join(names)} is set twice, as {known[names]} and as {written}; keep one of them."
                )
            known[names] = written


def refuse_equal(configs: Mapping[str, dict[str, Any]], baseline: str, places: Mapping[str, str]) -> None:
    """Stop if two arms compute the same, so that the difference between them could be chance alone.

    Args:
        configs: Arm -> complete configuration.
        baseline: The arm that the others are compared with.
        places: Arm -> the file and the arm, for the message.

    Raises:
        ConfigError: Two arms differ in nothing, or only in entries that change no result.
    """
    first: dict[str, str] = {}
    for arm in sorted(configs, key=lambda name: name != baseline):
        result = {key: value for key, value in flat(configs[arm]).items() if not is_below(key, NO_RESULT)}
        other = first.setdefault(json.dumps(result, sort_keys=True), arm)
        if other != arm:
            changed = ", ".join(difference(configs[other], configs[arm]))
            only = f" except for {changed}, which changes no result" if changed else ""
            raise ConfigError(
                f"{places[arm]}: the arm computes the same as {'the baseline' if other == baseline else 'arm'} {other}: "
                f"their configurations are equal{only}; remove the arm or give it another value."
            )
