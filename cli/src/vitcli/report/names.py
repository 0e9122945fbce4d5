"""Short names for resolved keys and values: a table has no room for ``model.backbone.every.feed_forward.op.activation``."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_SPELLING = ("class_path", "init_args")
_SAY_NOTHING = ("op",)

LONGEST = 160
"""A value that is longer, such as a whole backbone, is written without the arguments of its parts."""


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return resolved key -> its shortest ending, in whole components, that no other key has.

    ``class_path`` and ``init_args`` are left out, because they belong to the spelling of a class and not to its meaning. An
    ending that starts with ``op`` takes one more component, because every branch has an ``op``.
    """
    parts = {key: tuple(part for part in key.split(".") if part not in _SPELLING) or (key,) for key in keys}
    if len(set(parts.values())) < len(parts):
        parts = {key: tuple(key.split(".")) for key in parts}
    return {key: _shortest(own, [p for k, p in parts.items() if k != key]) for key, own in parts.items()}


def _shortest(own: tuple[str, ...], others: list[tuple[str, ...]]) -> str:
    for length in range(1, len(own) + 1):
        ending = own[-length:]
        if ending[0] not in _SAY_NOTHING and all(other[-length:] != ending for other in others):
            return ".".join(ending)
    return ".".join(own)


def short_values(values: Iterable[Any]) -> list[str]:
    """Return one short text per value; class paths lose their package unless two different values would then look the same.

    A text longer than ``LONGEST`` is replaced by the outline of its value, unless two different values would then look the same.
    """
    values = list(values)
    texts = [short_value(value) for value in values]
    distinct = len({_canonical(value) for value in values})
    outlines = [_outline(value) if len(text) > LONGEST else text for value, text in zip(values, texts, strict=True)]
    for candidate in (outlines, texts):
        if len(set(candidate)) == distinct:
            return candidate
    return [_canonical(value) for value in values]


def _outline(value: Any) -> str:
    """Return the class of a value and its arguments; of a part only the class, and nothing of a group of parts."""
    if not isinstance(value, Mapping) or "class_path" not in value:
        return short_value(value)
    plain = {
        key: one.get("class_path") if isinstance(one, Mapping) else one
        for key, one in (value.get("init_args") or {}).items()
        if not isinstance(one, Mapping) or "class_path" in one
    }
    return short_value({"class_path": value["class_path"], "init_args": plain})


def brief_values(values: Iterable[Any]) -> list[str]:
    """Return one text per value, shorter still: of a class, only the arguments in which values of that class differ.

    ``SqueezeExcite(reduction=4, gate=Sigmoid)`` beside the same with 48 becomes ``SqueezeExcite 4``; alone, ``SqueezeExcite``.
    """
    values = list(values)
    brief = [_brief(value, values) for value in values]
    distinct = len({_canonical(value) for value in values})
    return brief if len(set(brief)) == distinct else short_values(values)


def _brief(value: Any, others: list[Any]) -> str:
    if not isinstance(value, Mapping) or "class_path" not in value:
        return short_value(value)
    alike = [one for one in others if isinstance(one, Mapping) and one.get("class_path") == value["class_path"]]
    given = value.get("init_args") or {}
    differing = {
        key: short_value(one)
        for key, one in given.items()
        if len({_canonical((other.get("init_args") or {}).get(key)) for other in alike}) > 1
    }
    inner = list(differing.values()) if len(differing) == 1 else [f"{key}={one}" for key, one in differing.items()]
    return " ".join([short_value(value["class_path"]), *inner])


def short_value(value: Any) -> str:
    """Return a short text: ``torch.nn.Hardswish`` -> ``Hardswish``; ``class_path`` with ``init_args`` -> ``Name(arg=value)``."""
    if isinstance(value, Mapping):
        arguments = value.get("init_args", {}) if "class_path" in value else value
        inner = ", ".join(f"{key}={short_value(item)}" for key, item in (arguments or {}).items())
        name = short_value(value["class_path"]) if "class_path" in value else ""
        return f"{name}({inner})" if inner or not name else name
    if isinstance(value, list | tuple):
        return "[" + ", ".join(short_value(item) for item in value) + "]"
    if isinstance(value, str):
        parts = value.split(".")
        return parts[-1] if len(parts) > 1 and all(part.isidentifier() for part in parts) else value
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _canonical(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
