"""Blocks that alternate: how a change of a stage's block reaches every second one, which may hold another part.

A stage's slots say what its blocks hold, and ``alternate`` what every second block holds instead. Whoever changes a slot means
the stage: a part that is swapped is swapped in both, an argument is changed in both where both hold the same class. A slot that
is empty in every second block stays empty, and what is written under ``alternate`` concerns those blocks alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

SLOTS = ("position", "mixer", "content", "feed_forward")
EMPTY = "vitcore.Nothing"


def class_path(part: Any) -> Any:
    """Return the import path of a part, or the part itself if it is written as one."""
    return part.get("class_path") if isinstance(part, Mapping) else part


def following(
    stage: Mapping[str, Any], slot: str, keys: Sequence[str], value: Any
) -> list[tuple[tuple[str, ...], Any]]:
    """Return what of a change of a stage also concerns every second block: keys below the slot, and their values.

    Args:
        stage: The stage's data before the change.
        slot: The slot of the block that changes; any other entry of the stage concerns no slot.
        keys: Where below the slot the value is written; empty if the value holds the slot's entries.
        value: What is written.
    """
    other = (stage.get("alternate") or {}).get(slot) if slot in SLOTS else None
    if not isinstance(other, Mapping) or class_path(other.get("op", EMPTY)) == EMPTY:
        return []
    written: list[tuple[tuple[str, ...], Any]] = [(tuple(keys), value)]
    if not keys:  # a value that holds no entries is refused where it is written
        written = (
            [(tuple(str(key).split(".")), inner) for key, inner in value.items()] if isinstance(value, Mapping) else []
        )
    alike = class_path(other["op"]) == class_path((stage.get(slot) or {}).get("op", EMPTY))
    return [(names, inner) for names, inner in written if alike or names[0] != "op" or _swaps(names[1:], inner)]


def _swaps(below: Sequence[str], value: Any) -> bool:
    """Whether what is written at a part, or ``below`` it, names its class."""
    named = class_path(value) if not below else value if below[0] == "class_path" else None
    return isinstance(named, str)


def followed(stage: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``change`` of a stage with what follows from it for every second block written down, under ``alternate``."""
    also: dict[str, Any] = {}
    for slot in SLOTS:
        for names, value in following(stage, slot, (), change.get(slot)):
            also.setdefault(slot, {})[".".join(names)] = value
    if not also:
        return dict(change)
    return {**change, "alternate": _laid_over(also, change.get("alternate") or {})}


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and "class_path" not in value
        merged[key] = _laid_over(merged[key], value) if both else value
    return merged
