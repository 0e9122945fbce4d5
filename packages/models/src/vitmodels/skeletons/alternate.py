"""Blocks that alternate: how a change of a stage's block reaches every second one, which may hold another part.

A stage's slots say what its blocks hold, and ``alternate`` what every second block holds instead. A change of a slot is
meant for the whole stage: a swapped part is swapped in both kinds of block, and an argument is changed in both if both hold the
same class. A slot that is empty in every second block stays empty. What is written under ``alternate`` changes only those blocks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vitmodels.skeletons.parts import SLOTS, public_name

EMPTY = "vitcore.Nothing"


def changes_of_alternate(
    stage: Mapping[str, Any], slot: str, keys: Sequence[str], value: Any
) -> list[tuple[tuple[str, ...], Any]]:
    """Return what a change of a stage changes in every second block as well: keys below the slot, and their values.

    Args:
        stage: The stage's data before the change.
        slot: The entry of the stage that changes; only the entries that are slots also change every second block.
        keys: The keys below the slot at which the value is written; empty if the value holds the slot's entries.
        value: The new value.
    """
    other = _branch(stage.get("alternate"), slot) if slot in SLOTS else None
    if other is None or _class(other) == EMPTY:
        return []
    written: list[tuple[tuple[str, ...], Any]] = [(tuple(keys), value)]
    if not keys:  # a value without entries is refused where it is written
        entries = value if isinstance(value, Mapping) else {}
        written = [(tuple(str(key).split(".")), inner) for key, inner in entries.items()]
    alike = _class(other) == _class(_branch(stage, slot) or {})
    return [(names, inner) for names, inner in written if alike or names[0] != "op" or _names_class(names[1:], inner)]


def _branch(block: Any, slot: str) -> Mapping[str, Any] | None:
    """Return the branch in a slot; None if it is not given as data."""
    branch = block.get(slot) if isinstance(block, Mapping) else None
    return branch if isinstance(branch, Mapping) else None


def _class(branch: Mapping[str, Any]) -> Any:
    """Return the import path of a branch's op, or the op itself if it is an object."""
    op = branch.get("op", EMPTY)
    path = op.get("class_path") if isinstance(op, Mapping) else op
    return public_name(path) if isinstance(path, str) else path


def _names_class(below: Sequence[str], value: Any) -> bool:
    """Whether what is written at a part, or ``below`` it, names its class."""
    if below:
        return below[0] == "class_path" and isinstance(value, str)
    return isinstance(value.get("class_path") if isinstance(value, Mapping) else value, str) or callable(value)
