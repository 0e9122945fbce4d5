"""Public checkpoints: ordered rules turn their names into ours, and no name may be left over on either side."""

import fnmatch
import pickle
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

COUNTERS = ("*.num_batches_tracked",)
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


@dataclass(frozen=True)
class KeyRules:
    """How the names of a public implementation become ours.

    Args:
        renames: Pairs (regular expression for a whole name, replacement), tried in order; the first match whose replacement
            is a name of the model counts, else the first match. Where the expression has a group named ``stage``, a number,
            ``{stage}`` in the replacement is that number less ``first_stage``, and ``{next}`` one more.
        structural: Patterns of their names that carry no weights (masks, index tables): present or not, they are dropped.
        transform: Changes the values where a rename is not enough, given our name, the value and the model.
        first_stage: The number of their first stage; ours is 0.
    """

    renames: tuple[tuple[str, str], ...]
    structural: tuple[str, ...] = ()
    transform: Callable[[str, Tensor, nn.Module], Tensor] | None = None
    first_stage: int = 0

    def rename(self, name: str, own: Container[str]) -> tuple[str, str] | None:
        """Return our name for one of theirs, and the expression that matched; None if none does.

        Args:
            name: Their name.
            own: The names of the model.
        """
        found = []
        for pattern, replacement in self.renames:
            if match := re.fullmatch(pattern, name):
                new = match.expand(replacement)
                if "stage" in match.groupdict():
                    stage = int(match["stage"]) - self.first_stage
                    new = new.replace("{stage}", str(stage)).replace("{next}", str(stage + 1))
                found.append((new, pattern))
        return next((pair for pair in found if pair[0] in own), found[0] if found else None)


def translate(
    state: Mapping[str, Tensor], rules: KeyRules, model: nn.Module, adapted: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Return a public implementation's state dict under our names; a dict that has our names already keeps them.

    Tables of positions for another image size are interpolated by the modules that own them.

    Args:
        state: The public state dict.
        rules: How its names become ours.
        model: The model that the result is for.
        adapted: Patterns of our names whose values the caller adapts to the model afterwards, such as a head for other classes or
            a stem for other channels. The model may lack these names or have them in another shape.

    Raises:
        ValueError: A rule was never used, a name of theirs matches no rule, a name of ours stays empty, two names become
            one, or a shape differs. The message lists all of them.
    """
    own = model.state_dict()
    counters = _matches(own, COUNTERS)
    free = _matches(own, adapted)
    if set(own) - counters - free <= set(state) and set(state) <= set(own) | _matches(state, adapted):
        return {name: _at_own_size(name, value, own, model) for name, value in state.items()}
    translated: dict[str, Tensor] = {}
    used, problems = set(), []
    structural = _matches(state, rules.structural)
    for name, value in state.items():
        if name in structural:
            continue
        if (renamed := rules.rename(name, own)) is None:
            problems.append(f"no rule for {name}")
            continue
        new, pattern = renamed
        used.add(pattern)
        if new in translated:
            problems.append(f"{name} and another become {new}")
        translated[new] = rules.transform(new, value, model) if rules.transform else value
    translated = {name: _at_own_size(name, value, own, model) for name, value in translated.items()}
    problems += [f"rule never used: {pattern}" for pattern, _ in rules.renames if pattern not in used]
    free |= _matches(translated, adapted)
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
        ValueError: The file cannot be read, holds no state dict, or objects that only running its code would restore.
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
    except (RuntimeError, EOFError, SafetensorError) as error:
        text = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path} cannot be read as a checkpoint: the file is cut short or no checkpoint ({text})."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state dict: expected names and tensors, also under {', '.join(WRAPPERS)}.")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _at_own_size(name: str, value: Tensor, own: Mapping[str, Tensor], model: nn.Module) -> Tensor:
    """Return a table of another size at the model's; anything else as it is."""
    if name not in own or value.shape == own[name].shape:
        return value
    module, _, leaf = name.rpartition(".")
    resize = getattr(model.get_submodule(module), "resized", None)
    return value if resize is None else resize(leaf, value)


def _matches(names: Iterable[str], patterns: tuple[str, ...]) -> set[str]:
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}
