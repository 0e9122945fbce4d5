"""Public checkpoints: their names become ours by ordered rules, and nothing may be left over on either side."""

import fnmatch
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

COUNTERS = ("*.num_batches_tracked",)
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


@dataclass(frozen=True)
class KeyRules:
    """How the names of a public implementation become ours.

    Args:
        renames: Pairs (regular expression for a whole name, replacement), tried in order; the first match counts.
        structural: Patterns of their names that carry no weights (masks, index tables): present or not, they are dropped.
        transform: Changes the values where a rename is not enough, given our name and the value.
    """

    renames: tuple[tuple[str, str], ...]
    structural: tuple[str, ...] = ()
    transform: Callable[[str, Tensor], Tensor] | None = None


def translate(
    state: Mapping[str, Tensor], rules: KeyRules, model: nn.Module, adapted: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Return a public implementation's state dict under our names. A dict that has our names already is returned as it is.

    Args:
        state: The public state dict.
        rules: How its names become ours.
        model: The model that the result is for.
        adapted: Patterns of our names that the caller fits to the model afterwards (a head for other classes, a stem for
            other channels): the model may lack them or have them in another shape.

    Raises:
        ValueError: A rule was never used, a name of theirs matches no rule, a name of ours stays empty, two names become
            one, or a shape differs. The message lists all of them.
    """
    own = model.state_dict()
    counters = _matching(own, COUNTERS)
    free = _matching(own, adapted)
    if set(own) - counters - free <= set(state) and set(state) <= set(own) | _matching(state, adapted):
        return dict(state)
    translated: dict[str, Tensor] = {}
    used, problems = set(), []
    structural = _matching(state, rules.structural)
    for name, value in state.items():
        if name in structural:
            continue
        for pattern, replacement in rules.renames:
            if match := re.fullmatch(pattern, name):
                used.add(pattern)
                new = match.expand(replacement)
                if new in translated:
                    problems.append(f"{name} and another become {new}")
                translated[new] = rules.transform(new, value) if rules.transform else value
                break
        else:
            problems.append(f"no rule for {name}")
    problems += [f"rule never used: {pattern}" for pattern, _ in rules.renames if pattern not in used]
    free |= _matching(translated, adapted)
    problems += [f"nothing becomes {name}" for name in own if name not in translated and name not in counters | free]
    problems += [f"{name} is no name of ours" for name in translated if name not in own and name not in free]
    problems += [
        f"{name} has shape {tuple(value.shape)}, ours {tuple(own[name].shape)}"
        for name, value in translated.items()
        if name in own and name not in free and value.shape != own[name].shape
    ]
    if problems:
        raise ValueError(f"The checkpoint does not fit {type(model).__name__}: {'; '.join(problems)}.")
    return {name: own[name] for name in counters} | translated


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a .pth or .safetensors file, out of the usual wrappers (EMA first) and without ``module.``.

    Raises:
        ValueError: The file holds no state dict, or objects that only running its code would restore.
    """
    try:
        state: Any = (
            load_file(path) if Path(path).suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain values, and reading it would run code from the file; "
            "save its state dict alone."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state dict: expected names and tensors, also under {', '.join(WRAPPERS)}.")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _matching(names: Iterable[str], patterns: tuple[str, ...]) -> set[str]:
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}
