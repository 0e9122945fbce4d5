"""A model's parts are data: what a slot holds, how it is written down, and how it becomes an op.

A part is a class or function by its import path and the arguments that its slot does not supply::

    {"class_path": "vitcore.LocalityFeedForward", "init_args": {"activation": "torch.nn.ReLU6"}}

The same data comes from a preset, from YAML and from ``timm.create_model(name, stage1=...)``.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from torch import nn

from vitcore import NormFactory, Nothing, OpFactory
from vitmodels.skeletons.alternate import followed

PartData: TypeAlias = Any  # a mapping as above, an import path, or a callable that is used as it is


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
        mixer: What mixes tokens.
        content: A second mixer, by content.
        feed_forward: What mixes channels.
    """

    position: Branch = field(default_factory=Branch)
    mixer: Branch = field(default_factory=Branch)
    content: Branch = field(default_factory=Branch)
    feed_forward: Branch = field(default_factory=Branch)


def part(class_path: str, **init_args: Any) -> dict[str, Any]:
    """Write a part down as data."""
    return {"class_path": class_path, "init_args": init_args}


def merge_parts(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``change`` laid over it; another ``class_path`` replaces a part whole, leftovers included.

    An import path alone counts as a part that states no arguments. Blocks that alternate follow, see
    ``vitmodels.skeletons.alternate``.
    """
    merged = dict(base)
    for key, value in (followed(base, change) if "alternate" in base else change).items():
        old = merged.get(key)
        if isinstance(old, str) and isinstance(value, Mapping):
            old = part(old)
        new = part(value) if isinstance(value, str) and isinstance(old, Mapping) else value
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            swapped = "class_path" in new and new["class_path"] != old.get("class_path")
            merged[key] = value if swapped else merge_parts(old, new)
        else:
            merged[key] = value
    return merged


def build_part(data: PartData) -> Callable[..., Any]:
    """Turn a part's data into a factory: a callable that needs only what its slot supplies.

    Raises:
        ValueError: The import path leads nowhere, or the data is no part.
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
        ValueError: A slot or an entry of a branch is misspelt, an entry is no part, or an import path leads nowhere.
    """
    return BlockSpec(**{slot: build_branch(branch) for slot, branch in entries_of(data, BlockSpec).items()})


def build_branch(data: Branch | Mapping[str, Any]) -> Branch:
    """Turn a branch's data into a Branch that holds factories; see ``build_block``."""
    entries = entries_of(data, Branch)
    return Branch(**entries | {name: build_part(entries[name]) for name in ("op", "norm") if name in entries})


def import_object(path: str) -> Any:
    """Import ``package.module.Name``.

    Raises:
        ValueError: There is no such module or name.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"class_path={path!r} cannot be imported: {error}.") from error


def _build_argument(value: Any) -> Any:
    if isinstance(value, Mapping) and "class_path" in value:
        return build_part(value)
    if isinstance(value, str) and "." in value:
        return import_object(value)
    return value


def entries_of(data: Any, spec: type) -> dict[str, Any]:
    """Return the entries of a spec that is written as a mapping or is one already.

    Raises:
        ValueError: It is neither, or an entry is misspelt.
    """
    names = [f.name for f in fields(spec)]
    if isinstance(data, spec):
        return {name: getattr(data, name) for name in names}
    if not isinstance(data, Mapping):
        raise ValueError(f"{spec.__name__} is a mapping of {', '.join(names)}, got {data!r}.")
    unknown = sorted(set(data) - set(names))
    if unknown:
        raise ValueError(f"{spec.__name__} has no entry {unknown[0]!r}; it has {', '.join(names)}.")
    return dict(data)
