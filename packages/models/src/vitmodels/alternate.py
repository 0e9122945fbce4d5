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


def follows(stage: Mapping[str, Any], keys: Sequence[str], value: Any) -> bool:
    """Return whether a change of ``stage`` at ``keys`` also concerns every second block.

    Args:
        stage: The stage's data before the change.
        keys: Where the change is: a slot of the block and keys below it.
        value: What is written there.
    """
    other = (stage.get("alternate") or {}).get(keys[0]) if keys[0] in SLOTS else None
    if not isinstance(other, Mapping) or class_path(other.get("op", EMPTY)) == EMPTY:
        return False
    own = (stage.get(keys[0]) or {}).get("op", EMPTY)
    below = [key for key in keys[1:] if key != "init_args"]
    if not below:
        return all(follows(stage, (keys[0], name), inner) for name, inner in value.items())
    if below[0] != "op" or class_path(other["op"]) == class_path(own):
        return True
    swapped = class_path(value) if len(below) == 1 else value if below[1] == "class_path" else None
    return isinstance(swapped, str)


def followed(stage: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``change`` of a stage with what follows from it for every second block written down."""
    also: dict[str, Any] = {}
    for slot in SLOTS:
        entries = change.get(slot)
        if isinstance(entries, Mapping):
            kept = {name: value for name, value in entries.items() if follows(stage, (slot, name), value)}
            if kept:
                also[slot] = kept
    if not also:
        return dict(change)
    return {**change, "alternate": _laid_over(also, change.get("alternate") or {})}


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and "class_path" not in value
        merged[key] = _laid_over(merged[key], value) if both else value
    return merged
