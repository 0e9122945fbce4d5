"""What differs between two resolved configurations, written for people, and whether the arms declare it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vitcli.config.errors import ConfigError
from vitmodels.skeletons.parts import RENAMED, walk

STAGE = re.compile(r"(?<![^.])stage\d+(?![^.])")


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted key -> value for every leaf; ``init_args`` is left out of the keys."""
    return {".".join(names): value for names, value in walk(config)}


def difference(old: Any, new: Any, key: str = "") -> dict[str, list[Any]]:
    """Return key -> [old, new] for all that differs; a part of another class is one difference, whatever its arguments."""
    if isinstance(old, dict) and isinstance(new, dict) and old.get("class_path") == new.get("class_path"):
        found: dict[str, list[Any]] = {}
        for name in dict.fromkeys((*old, *new)):
            below = key if name == "init_args" else f"{key}.{name}" if key else name
            found |= difference(old.get(name), new.get(name), below)
        return found
    return {} if old == new else {key: [old, new]}


def gather_stages(changed: dict[str, list[Any]], config: dict[str, Any]) -> dict[str, list[Any]]:
    """Write a difference that is the same in all stages of a model once, under ``every``."""
    stages: dict[str, set[str]] = {}
    for key in flat(config):
        if found := STAGE.search(key):
            stages.setdefault(key[: found.start()], set()).add(found.group())
    gathered: dict[str, list[Any]] = {}
    for key, pair in changed.items():
        found = STAGE.search(key)
        if found:
            head, tail = key[: found.start()], key[found.end() :]
            if all(changed.get(f"{head}{stage}{tail}") == pair for stage in stages.get(head, {found.group()})):
                key = f"{head}every{tail}"
        gathered[key] = pair
    return gathered


def refuse_undeclared(changed: dict[str, list[Any]], arms: Iterable[Mapping[str, Any]], place: str) -> None:
    """Stop if an arm differs from the baseline in something that neither of them declares.

    Args:
        changed: The resolved difference; see ``difference``.
        arms: What the two arms set.
        place: The arm, for the message.

    Raises:
        ConfigError: A difference is not declared.
    """
    declared = [names for arm in arms for names, _ in declared_keys(arm)]
    for key, (old, new) in changed.items():
        names = key.split(".")
        of_stage = [name for name in names if name != "alternate"]  # a change of a stage also changes its second blocks
        if not any(_covers(above, names) or _covers(above, of_stage) for above in declared):
            raise ConfigError(
                f"{place}: {key} is {new!r} here and {old!r} in the baseline, but the arm does not say so; add it to the arm."
            )


def declared_keys(change: Mapping[str, Any], above: Sequence[str] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each value that an arm sets: the names on the way to it, by their present names, and its key as it is written.

    A part counts as one value. Spellings of one key give the same names: ``model.init_args.width`` and ``model: {width: 8}``.
    """
    for key, value in change.items():
        written = [*above, *str(key).split(".")]
        if isinstance(value, Mapping) and value and "class_path" not in value:
            yield from declared_keys(value, written)
        else:
            names = (name.removesuffix("+") for name in written if name not in ("init_args", "class_path"))
            yield tuple(RENAMED.get(name, name) for name in names), ".".join(written)


def _covers(declared: Sequence[str], changed: Sequence[str]) -> bool:
    """Whether a declared key is the changed one or above it."""
    return len(declared) <= len(changed) and all(
        one == name or (one == "every" and STAGE.fullmatch(name)) for one, name in zip(declared, changed, strict=False)
    )
