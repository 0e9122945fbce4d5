"""A model's parts are data: what a slot holds, how it is written down, and how it becomes an op.

A part is a class or function, named by its import path, with the arguments that its slot does not supply::

    {"class_path": "vitcore.LocalityFeedForward", "init_args": {"activation": "torch.nn.ReLU6"}}

The same data comes from a preset, from YAML and from ``timm.create_model(name, stage1=...)``.
"""

import functools
import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, TypeAlias

from torch import nn

from vitcore import NormFactory, Nothing, OpFactory
from vitmodels.skeletons.kinds import ANYWHERE, is_standard, makes

PartData: TypeAlias = Any  # a mapping as above, an import path, or a callable that is used as it is

HOMES = ("vitcore", "vitmodels")
"""Packages whose public names are promised: a longer import path of such a name is resolved to the public one."""

RENAMED = {"content": "content_mixer"}
"""Earlier names of entries, which are still accepted, and what they are called now."""


@dataclass
class Branch:
    """One residual branch: ``grid + drop_path(op(norm(grid)))``.

    Args:
        op: Makes the op; ``vitcore.Nothing`` leaves the branch out.
        norm: Makes the normalisation in front of it; ``torch.nn.Identity`` for none.
        drop_path_scale: Factor on the block's stochastic depth rate; 0 for none on this branch.
    """

    op: OpFactory = Nothing
    norm: NormFactory = nn.Identity
    drop_path_scale: float = 1.0


@dataclass
class BlockSpec:
    """The branches of a block, applied in this order.

    Args:
        position: A conditional position.
        mixer: What mixes tokens by where they are.
        content_mixer: A second mixer, which mixes tokens by what they hold.
        feed_forward: What mixes channels.
    """

    position: Branch = field(default_factory=Branch)
    mixer: Branch = field(default_factory=Branch)
    content_mixer: Branch = field(default_factory=Branch)
    feed_forward: Branch = field(default_factory=Branch)


SLOTS = tuple(slot.name for slot in fields(BlockSpec))
"""The slots of a block in their order."""


def part(class_path: str, **init_args: Any) -> dict[str, Any]:
    """Write a part down as data."""
    return {"class_path": class_path, "init_args": init_args}


def walk(data: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (names on the path, value) for every leaf of data; ``init_args`` is left out of the paths."""
    if not isinstance(data, Mapping) or not data:
        yield above, data
        return
    for name, value in data.items():
        yield from walk(value, above if name == "init_args" else (*above, str(name)))


def public_path(found: Any) -> str:
    """Return the shortest import path of a class or function."""
    parts, name = found.__module__.split("."), found.__qualname__
    for end in range(1, len(parts) + 1):
        home = ".".join(parts[:end])
        if home in sys.modules and getattr(sys.modules[home], name, None) is found:
            return f"{home}.{name}"
    return f"{'.'.join(parts)}.{name}"


def public_name(path: str) -> str:
    """Return the public import path of what ``path`` names, where vitcore or vitmodels has one; else ``path`` itself.

    Modules inside the two packages may move: ``vitcore.locality.LocalityFeedForward`` is ``vitcore.LocalityFeedForward``,
    whether or not there is a module ``vitcore.locality``.
    """
    home, name = path.partition(".")[0], path.rpartition(".")[2]
    public = home in HOMES and name in importlib.import_module(home).__all__
    return f"{home}.{name}" if public else path


def similar_names(name: str, names: Sequence[str]) -> list[str]:
    """Return the most similar of some names, if one is similar; another case is a smaller difference than another letter."""
    lowered = {one.lower(): one for one in names}
    close = get_close_matches(name, names, 1, 0.85)
    return close or [lowered[one] for one in get_close_matches(name.lower(), lowered, 1, 0.85)]


def current_name(name: str, names: Mapping[str, Any]) -> str:
    """Return the present name of an entry that was renamed, if ``names`` has the present name and not the old one."""
    new = RENAMED.get(name, name)
    return new if new in names and name not in names else name


def renamed_notice(old: str, new: str) -> str:
    """Return the sentence that tells a user of a new name."""
    return f"The key {old} is called {new} now; write {new}. The old name still works."


def warn_renamed(old: str, new: str) -> None:
    """Warn about an earlier name; Python shows the same warning once."""
    warnings.warn(renamed_notice(old, new), FutureWarning, stacklevel=2)


def build_part(data: PartData) -> Callable[..., Any]:
    """Turn a part's data into a factory: a callable that needs only what its slot supplies.

    Raises:
        ValueError: The import path leads nowhere, or the data describes no part.
    """
    if callable(data):
        return data
    if isinstance(data, str):
        return import_object(data)
    if not isinstance(data, Mapping) or not {"class_path"} <= set(data) <= {"class_path", "init_args"}:
        raise ValueError(f"A part is an import path or a mapping of class_path and init_args, got {data!r}.")
    arguments = {name: _build_argument(value) for name, value in (data.get("init_args") or {}).items()}
    return functools.partial(import_object(data["class_path"]), **arguments)


def build_block(data: BlockSpec | Mapping[str, Any]) -> BlockSpec:
    """Turn a block's data into a BlockSpec whose branches hold factories.

    Raises:
        ValueError: A slot or an entry of a branch is misspelt, an entry describes no part, or an import path leads nowhere.
    """
    return BlockSpec(**{slot: build_branch(branch) for slot, branch in entries_of(data, BlockSpec).items()})


def build_branch(data: Branch | Mapping[str, Any]) -> Branch:
    """Turn a branch's data into a Branch that holds factories; see ``build_block``."""
    entries = entries_of(data, Branch)
    return Branch(**entries | {name: build_part(entries[name]) for name in ("op", "norm") if name in entries})


def import_object(path: str) -> Any:
    """Import ``package.module.Name``; a public name of vitcore or vitmodels is found whatever module the path gives.

    Raises:
        ValueError: The module or the name does not exist, or it belongs to the standard library or is neither a class nor a
            function.
    """
    module, _, name = public_name(path).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"class_path={path!r} cannot be imported: {error}.") from error
    if is_standard(found) or not (inspect.isclass(found) or inspect.isfunction(found)):
        raise ValueError(
            f"class_path={path!r} is not a part: expected a class of torch.nn.Module, or a function that returns one."
        )
    return found


def _build_argument(value: Any) -> Any:
    if isinstance(value, Mapping) and "class_path" in value:
        return build_part(value)
    return _import_module_maker(value) if isinstance(value, str) and _is_import_path(value) else value


def _is_import_path(text: str) -> bool:
    """Whether text is written like ``package.module.Name``, which ``head_dim**-0.5`` is not."""
    return "." in text and all(name.isidentifier() for name in text.split("."))


def _import_module_maker(path: str) -> Any:
    found = import_object(path)
    if not makes(found, ANYWHERE):
        raise ValueError(
            f"class_path={path!r} makes no torch.nn.Module, and nothing else can be an argument of a part."
        )
    return found


def entries_of(data: Any, spec: type) -> dict[str, Any]:
    """Return the entries of a spec, given as a mapping or as the spec itself; an earlier name of an entry is accepted.

    Raises:
        ValueError: It is neither, or an entry is misspelt.
    """
    names = {slot.name: slot for slot in fields(spec)}
    if isinstance(data, spec):
        return {name: getattr(data, name) for name in names}
    if not isinstance(data, Mapping):
        raise ValueError(f"{spec.__name__} is a mapping of {', '.join(names)}, got {data!r}.")
    entries = {}
    for key, value in data.items():
        name = current_name(key, names)
        if name not in names:
            raise ValueError(f"{spec.__name__} has no entry {key!r}; it has {', '.join(names)}.")
        if name != key:
            warn_renamed(key, name)
        entries[name] = value
    return entries
