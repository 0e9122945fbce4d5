"""Names of public checkpoints become ours, and every name on both sides is accounted for.

``fit`` says what a state dict is for a model and what does not fit; ``translate`` refuses whatever does not fit.
"""

import contextlib
import fnmatch
import re
import warnings
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

COUNTERS = ("*.num_batches_tracked",)

MOST_LINES = 10
"""Most lines of a refusal."""


@dataclass(frozen=True)
class Numbered:
    """A replacement for layers that the public code numbers: what a number is depends on the layers that the model has.

    The expression that it belongs to has groups ``number`` and ``rest``, the name of a tensor inside of the layer.

    Args:
        owner: The replacement for the name of the module that holds the layers.
        inside: Returns the name below the module, for (our name of the module, number, rest, the names of the model).
    """

    owner: str
    inside: Callable[[str, int, str, Container[str]], str]


@dataclass(frozen=True)
class KeyRules:
    """How the names of a public implementation become ours.

    Rules may name parts that a model does not have: they serve all models of a system, whatever parts are swapped in.

    Args:
        renames: Pairs (regular expression for a whole name, replacement), tried in order; the first match whose replacement
            is a name of the model counts, else the first match. Where the expression has a group named ``stage``, a number,
            ``{stage}`` in the replacement is that number less ``first_stage``, and ``{next}`` one more.
        structural: Patterns of their names that a classifier has no use for (masks, index tables): present or not, they are
            dropped.
        transform: Changes the values where a rename is not enough, given our name, the value and the model.
        first_stage: The number of their first stage; ours is 0.
        joints: Modules of theirs that are one of ours, as pairs (name of the one, their names in the order of its outputs):
            ``kv`` for ``key`` and ``value``. They are joined before anything is renamed.
        zeros: Patterns of our names that the public code does not have, because it computes what zeros give: biases.
        others: Rules for the names of other implementations of the same model, such as timm's or transformers'.
    """

    renames: tuple[tuple[str, str | Numbered], ...]
    structural: tuple[str, ...] = ()
    transform: Callable[[str, Tensor, nn.Module], Tensor] | None = None
    first_stage: int = 0
    joints: tuple[tuple[str, tuple[str, ...]], ...] = ()
    zeros: tuple[str, ...] = ()
    others: "tuple[KeyRules, ...]" = ()

    def rename(self, name: str, own: Container[str]) -> tuple[str, str] | None:
        """Return our name for one of theirs, and the expression that matched; None if none does.

        Args:
            name: Their name.
            own: The names of the model.
        """
        found = []
        for pattern, replacement in self.renames:
            if match := re.fullmatch(pattern, name):
                found.append((self._replaced(match, replacement, own), pattern))
                if found[-1][0] in own:
                    return found[-1]
        return found[0] if found else None

    def joined(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict of theirs in which modules that are one of ours are joined along their outputs."""
        result = dict(state)
        for whole, pieces in self.joints:
            for name in [name for name in state if f".{pieces[0]}." in name]:
                owner, _, leaf = name.rpartition(f".{pieces[0]}.")
                names = [f"{owner}.{piece}.{leaf}" for piece in pieces]
                values = [result[one] for one in names if one in result]
                alike = len({value.shape[1:] for value in values if value.ndim}) == 1
                if alike and len(values) == len(pieces):
                    result[f"{owner}.{whole}.{leaf}"] = torch.cat([result.pop(one) for one in names])
        return result

    def _replaced(self, match: re.Match[str], replacement: str | Numbered, own: Container[str]) -> str:
        new = match.expand(replacement if isinstance(replacement, str) else replacement.owner)
        if "stage" in match.groupdict():
            stage = int(match["stage"]) - self.first_stage
            new = new.replace("{stage}", str(stage)).replace("{next}", str(stage + 1))
        if isinstance(replacement, str):
            return new
        return f"{new}.{replacement.inside(new, int(match['number']), match['rest'], own)}"


class MisfitError(ValueError):
    """A state dict that does not fit a model.

    Attributes:
        head: What does not fit what.
        lines: A line for each kind of tensors.
    """

    def __init__(self, head: str, lines: Sequence[str]) -> None:
        if len(lines) > MOST_LINES - 1:
            lines = [*lines[: MOST_LINES - 2], f"and {len(lines) - MOST_LINES + 2} further kinds of tensors."]
        self.head, self.lines = head, tuple(lines)
        super().__init__("\n  ".join((head, *lines)))


class UnusableValuesError(MisfitError):
    """A state dict whose names and shapes fit a model, but that has values with which no training can start."""


@dataclass
class Fit:
    """What a state dict is for a model.

    Attributes:
        rules: The rules that were applied.
        own: The model's state dict.
        values: Our name -> value, for all names of the model that the state dict fills.
        left_over: Their name -> (our name, value), of what the model has no name for or what was filled already.
        empty: Our names that nothing fills.
        shapes: Our name -> (their name, value), of what has another shape.
        resized: Our name -> their shape, of tables of positions that were interpolated.
    """

    rules: KeyRules
    own: Mapping[str, Tensor]
    values: dict[str, Tensor] = field(default_factory=dict)
    left_over: dict[str, tuple[str, Tensor]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[str, Tensor]] = field(default_factory=dict)
    resized: dict[str, torch.Size] = field(default_factory=dict)

    @property
    def problems(self) -> int:
        """How many names are not accounted for."""
        return len(self.left_over) + len(self.empty) + len(self.shapes)

    def draw_new(self, names: Iterable[str]) -> None:
        """Let names of the model keep what was drawn for them, whatever the state dict has for them."""
        for name in names:
            self.values.pop(name, None)
            self.shapes.pop(name, None)
            self.resized.pop(name, None)
            if name in self.empty:
                self.empty.remove(name)

    def warn_of_interpolation(self, model: str) -> None:
        """Warn that tables of positions were interpolated, if some were."""
        if self.resized:
            kinds = [
                (name, f"shape {tuple(theirs)}, here {tuple(self.own[name].shape)}")
                for name, theirs in self.resized.items()
            ]
            warnings.warn(
                f"{model}: tables of positions were interpolated to the windows or the image of this model; only at the sizes of "
                f"the file does it compute what the file's model computes. {'; '.join(grouped(kinds))}.",
                UserWarning,
                stacklevel=3,
            )

    def refusal(self, model: str, source: str = "The checkpoint") -> MisfitError:
        """Return an error that says what does not fit, in at most ten lines: alike tensors are counted, not listed."""
        kinds = [
            (theirs, f"shape {tuple(value.shape)}, expected {tuple(self.own[name].shape)}")
            for name, (theirs, value) in self.shapes.items()
        ]
        kinds += [(name, f"shape {tuple(value.shape)}, left over") for name, (_, value) in self.left_over.items()]
        kinds += [(name, f"shape {tuple(self.own[name].shape)}, missing in the file") for name in self.empty]
        return MisfitError(f"{source} does not fit {model}:", grouped(kinds))


def fit(state: Mapping[str, Tensor], rules: KeyRules, model: nn.Module) -> Fit:
    """Return what a state dict is for a model, under the rules that leave least over.

    Names of ours pass as they are. Tables of positions for another size are interpolated by the modules that own them.

    Args:
        state: The public state dict, or one of ours.
        rules: How its names become ours.
        model: The model that the result is for.
    """
    best = _fit(state, rules, model)
    for other in rules.others:
        if best.problems and (found := _fit(state, other, model)).problems < best.problems:
            best = found
    return best


def translate(state: Mapping[str, Tensor], rules: KeyRules, model: nn.Module) -> dict[str, Tensor]:
    """Return a public implementation's state dict under our names; see ``fit`` for the arguments.

    Raises:
        MisfitError: A name of theirs becomes none of ours, a name of ours stays empty, or a shape differs. The message counts
            what does not fit.
    """
    found = fit(state, rules, model)
    if found.problems:
        raise found.refusal(type(model).__name__)
    found.warn_of_interpolation(type(model).__name__)
    return found.values


def _fit(state: Mapping[str, Tensor], rules: KeyRules, model: nn.Module) -> Fit:
    own = model.state_dict()
    result, structural = Fit(rules, own), matches(state, rules.structural)
    for name, value in rules.joined(state).items():
        if name in own:
            place(result, name, name, value, model)
            continue
        renamed = rules.rename(name, own)
        new = renamed[0] if renamed else name
        if new not in own and name in structural:
            continue
        if new in own and rules.transform:
            with contextlib.suppress(RuntimeError, IndexError):  # what has another form is refused for its shape
                value = rules.transform(new, value, model)
        place(result, name, new, value, model)
    taken = result.values.keys() | result.shapes.keys()
    counters, zeros = matches(own, COUNTERS) - taken, matches(own, rules.zeros) - taken
    result.empty = [name for name in own if name not in taken | counters | zeros]
    result.values |= {name: own[name] for name in counters}
    result.values |= {name: torch.zeros_like(own[name]) for name in zeros}
    return result


def place(result: Fit, theirs: str, name: str, value: Tensor, model: nn.Module) -> None:
    """Note the value of one of their names, which becomes ``name``, in a fit to a model."""
    if name not in result.own or name in result.values or name in result.shapes:
        result.left_over[theirs] = (name, value)
        return
    found, expected = value.shape, result.own[name].shape
    sized = _at_own_size(name, value, model) if found != expected and len(found) == len(expected) else value
    if sized.shape != expected:
        result.shapes[name] = (theirs, value)
    else:
        result.values[name] = sized
        if found != expected:
            result.resized[name] = found


def _at_own_size(name: str, value: Tensor, model: nn.Module) -> Tensor:
    """Return a table of another size at the model's; anything else as it is."""
    module, _, leaf = name.rpartition(".")
    resize: Any = getattr(model.get_submodule(module), "resized", None)
    return value if resize is None else resize(leaf, value)


def grouped(kinds: Iterable[tuple[str, str]], noun: str = "tensors") -> list[str]:
    """Return a line for each pattern: names with equal remarks that differ only in their numbers share one.

    Args:
        kinds: Pairs (name, remark).
        noun: What is counted.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name, remark in kinds:
        groups.setdefault((re.sub(r"(?<![^.])\d+(?![^.])", "*", name), remark), []).append(name)
    return [
        f"{_pattern(names)}, {f'{len(names)} {noun}, ' if len(names) > 1 else ''}{remark}"
        for (_, remark), names in groups.items()
    ]


def _pattern(names: Sequence[str]) -> str:
    """Return what names have in common, with ``*`` where their numbers differ."""
    columns = zip(*(name.split(".") for name in names), strict=True)
    return ".".join(column[0] if len(set(column)) == 1 else "*" for column in columns)


def matches(names: Iterable[str], patterns: tuple[str, ...]) -> set[str]:
    """Return the names that match a pattern."""
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}
