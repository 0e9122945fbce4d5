"""Refusing a user's op that takes or returns prefix and grid in the wrong order, since such an op could still be trained."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from vitcli.training.own_code import THIS_PROJECT
from vitcore import FeatureOp
from vitmodels.skeletons.parts import build_part

ROWS, COLUMNS = 5, 7
WIDTHS = (48, 64, 96, 192, 384)
"""Widths at which an op is tried; some ops accept only multiples of a certain number."""


def refuse_exchanged(model: dict[str, Any]) -> None:
    """Raise an error if an op of the user's own has prefix and grid in the wrong order.

    An op is tried on random numbers. Where it cannot be tried, because it needs other sizes, nothing is refused.

    Args:
        model: The ``model`` section of a complete configuration.

    Raises:
        ValueError: ``forward_prefixed`` takes the prefix first, or returns it first, in whatever shape.
    """
    for part in _own_ops(model):
        if found := _named_wrongly(part["class_path"]) or _returned_wrongly(part):
            raise ValueError(
                f"{part['class_path']}.forward_prefixed {found}: write def forward_prefixed(self, grid, prefix), and return the "
                "new grid (b, h, w, width) first and the new prefix (b, p, width), or None, second."
            )


def _own_ops(data: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts that are ops of another package with a rule for prefix tokens, wherever they lie."""
    if not isinstance(data, dict):
        return
    if isinstance(data.get("class_path"), str) and _is_own(data["class_path"]):
        yield data
    for value in data.values():
        yield from _own_ops(value)


def _is_own(path: str) -> bool:
    if path.partition(".")[0] in THIS_PROJECT:
        return False
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):  # not the path of a class
        return False
    if not inspect.isclass(found) or not issubclass(found, FeatureOp):
        return False
    return found.forward_prefixed is not FeatureOp.forward_prefixed


def _named_wrongly(path: str) -> str:
    """Return how the arguments are named, if the prefix comes before the grid."""
    module, _, name = path.rpartition(".")
    rule = getattr(importlib.import_module(module), name).forward_prefixed
    names = [*inspect.signature(rule).parameters][1:3]
    wrong = names[:1] == ["prefix"] or names[1:] == ["grid"]
    return f"takes ({', '.join(names)}), but is called with (grid, prefix)" if wrong else ""


def _returned_wrongly(part: dict[str, Any]) -> str:
    """Return what is wrong with the op's result for a random grid and one prefix token."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        op, width = _built(part)
        if op is None:
            return ""
        first, second = (torch.randn(1, ROWS, COLUMNS, width) for _ in range(2))
        token, other = (torch.randn(1, 1, width) for _ in range(2))
        returned = _called(op, first, token)
        if returned is None:
            return ""
        grid, prefix = returned
        shapes = _shape(grid), _shape(prefix)
        if shapes[0] != first.shape or shapes[1] not in (None, token.shape):
            return f"returns {_written(shapes)} for a grid {_text(first.shape)} and a prefix {_text(token.shape)}"
        return _by_content(returned, _called(op, second, token), _called(op, first, other))


def _built(part: dict[str, Any]) -> tuple[FeatureOp | None, int]:
    """Return the op at the first width that it takes; None if there is none."""
    for width in WIDTHS:
        try:
            return build_part(part)(width).eval(), width
        except Exception:  # the op's own code, which may raise anything; the model that is built says what is wrong
            continue
    return None, 0


def _called(op: FeatureOp, grid: Tensor, prefix: Tensor) -> tuple[Any, Any] | None:
    """Return the two results of ``forward_prefixed``, always with the same random numbers; None if it cannot be called so."""
    torch.manual_seed(0)
    try:
        with torch.no_grad():
            new_grid, new_prefix = op.forward_prefixed(grid, prefix)
    except Exception:  # as above
        return None
    return new_grid, new_prefix


def _by_content(here: tuple[Tensor, Any], grid_changed: Any, prefix_changed: Any) -> str:
    """Return that tokens changed places: a token of the new grid depends only on the prefix, and the new prefix on the grid."""
    if here[1] is None or grid_changed is None or prefix_changed is None:
        return ""
    of_grid = [(there[0] != here[0]).any(-1) for there in (grid_changed, prefix_changed)]
    of_prefix = [(there[1] != here[1]).any(-1) for there in (grid_changed, prefix_changed)]
    by_prefix_alone, by_grid_alone = of_grid[1] & ~of_grid[0], of_prefix[0] & ~of_prefix[1]
    if by_prefix_alone.any() and by_grid_alone.any():
        return "returns tokens of the prefix in the grid, and tokens of the grid in the prefix"
    return ""


def _shape(value: Any) -> torch.Size | None:
    return value.shape if isinstance(value, Tensor) else None


def _written(shapes: tuple[Any, Any]) -> str:
    return " and ".join("None" if shape is None else _text(shape) for shape in shapes)


def _text(shape: torch.Size) -> str:
    return f"({', '.join(map(str, shape))})"
