"""Public checkpoints: their names become ours by ordered rules, and nothing may be left over on either side."""

import fnmatch
import re
from collections.abc import Callable, Mapping
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


def translate(state: Mapping[str, Tensor], rules: KeyRules, model: nn.Module) -> dict[str, Tensor]:
    """Return a public implementation's state dict under our names. A dict that has our names already is returned as it is.

    Raises:
        ValueError: A rule was never used, a name of theirs matches no rule, a name of ours stays empty, two names become
            one, or a shape differs. The message lists all of them.
    """
    own = model.state_dict()
    if set(own) - _counters(own) <= set(state) <= set(own):
        return dict(state)
    translated: dict[str, Tensor] = {}
    used, problems = set(), []
    for name, value in state.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in rules.structural):
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
    problems += [f"nothing becomes {name}" for name in own if name not in translated and name not in _counters(own)]
    problems += [f"{name} is no name of ours" for name in translated if name not in own]
    problems += [
        f"{name} has shape {tuple(value.shape)}, ours {tuple(own[name].shape)}"
        for name, value in translated.items()
        if name in own and value.shape != own[name].shape
    ]
    if problems:
        raise ValueError(f"The checkpoint does not fit {type(model).__name__}: {'; '.join(problems)}.")
    return {name: translated.get(name, own[name]) for name in own}


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a .pth or .safetensors file, out of the usual wrappers (EMA first) and without ``module.``.

    Raises:
        ValueError: The file holds no state dict.
    """
    state: Any = load_file(path) if Path(path).suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state dict: expected names and tensors, also under {', '.join(WRAPPERS)}.")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _counters(state: Mapping[str, Tensor]) -> set[str]:
    return {name for name in state if any(fnmatch.fnmatchcase(name, pattern) for pattern in COUNTERS)}
