"""A model starts from the weights of a file: the head may be new, everything else must fit.

What may differ is what the user asked for: another number of classes, other input channels, a part that was swapped for one of
another class. It is named when the weights are loaded; anything else that does not fit is refused. No weight stays random in
silence.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from vitmodels.skeletons.checkpoint import Fit, KeyRules, MisfitError, UnusableValuesError, fit, grouped, place
from vitmodels.skeletons.weights_file import AVERAGED, locate, model_of, modules_in, read_checkpoint, unwrapped

logger = logging.getLogger("vitmodels")


@dataclass(frozen=True)
class Network:
    """What is known of a model before its weights are loaded.

    Args:
        name: The model's name.
        rules: How the names of its public checkpoint become ours.
        heads: Names of the head, or of both heads.
        first_conv: Name of the first convolution; None if there is none.
        default: Builds the model with its default arguments.
    """

    name: str
    rules: KeyRules
    heads: tuple[str, ...]
    first_conv: str | None
    default: Callable[[], nn.Module]


def load_weights(model: nn.Module, weights: str | Path | Mapping[str, Tensor], network: Network) -> None:
    """Load weights into a model. A model on the meta device is checked against the file and stays empty.

    Args:
        model: The model, as ``network.default`` with other arguments builds it.
        weights: A file, a trial's directory or a ``local-dir:``, see ``vitmodels.skeletons.weights_file``; or a state dict.
        network: What the model is.

    Raises:
        FileNotFoundError: There is nothing at this path.
        ValueError: The file holds no state dict.
        MisfitError: The state dict does not fit the model, or has unusable values, see ``refuse_unusable_values``.
    """
    if isinstance(weights, Mapping):
        source = "the state dict"
        state = unwrapped(weights, source)
    else:
        source, state = str(locate(weights)), read_checkpoint(weights)
        source += f" of {theirs}" if (theirs := model_of(weights)) else ""
    values, notes = fitted(model, state, network, source)
    if next(model.parameters()).is_meta:
        return
    try:
        model.load_state_dict(values)
    except RuntimeError as error:
        raise ValueError(
            f"{source} has values that cannot be copied: they are sparse, or the file holds shapes alone."
        ) from error
    _tell(network, source, notes)


def values_of(content: Mapping[str, Any], model: nn.Module, network: Network) -> dict[str, Tensor]:
    """Return a value for each name of the model from what timm has read of a file, wrapped or not; see ``load_weights``."""
    source = "the checkpoint"
    values, notes = fitted(model, unwrapped(content, source), network, source)
    _tell(network, source, notes)
    return values


def _tell(network: Network, source: str, notes: list[str]) -> None:
    """Log where the weights are from, as a warning if something is not from there."""
    if notes:
        logger.warning("%s: weights from %s; %s.", network.name, source, "; ".join(notes))
    else:
        logger.info("%s: all weights from %s.", network.name, source)


def fitted(
    model: nn.Module, state: Mapping[str, Tensor], network: Network, source: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Return a value for each name of the model, from a state dict or as it was drawn, and what is new, adapted or left out.

    A training's state dict may hold more than the network, such as the weights of a loss. If it does not fit as it is, the one
    of the modules in it that fits is taken, and the others are left out.

    Args:
        model: The model.
        state: A state dict under public names or ours.
        network: What the model is.
        source: Where the state dict is from, for messages.

    Raises:
        MisfitError: Something does not fit that the user did not ask for, or a value is unusable.
        ValueError: It is known what else the state dict is of, or several modules in it fit.
    """
    try:
        return _fitted(model, state, network, source)
    except MisfitError as misfit:
        modules, fitting, reason = modules_in(state), {}, misfit
        for name, inside in modules.items():
            try:
                fitting[name] = _fitted(model, inside, network, source)
            except UnusableValuesError as unusable:
                reason = unusable
            except ValueError:
                pass
        if not fitting:
            raise reason from None
    averaged = [name for name in AVERAGED if name in fitting]
    if len(fitting) > 1 and not averaged:
        raise ValueError(
            f"{source} holds several networks that fit {network.name} ({', '.join(fitting)}); save the one that is meant alone."
        )
    chosen = (averaged or [*fitting])[0]
    values, notes = fitting[chosen]
    others = [name for name in state if name not in modules[chosen] and not name.startswith(f"{chosen}.")]
    return values, [*notes, f"{chosen} is taken", *grouped((name, "left out") for name in others)]


def _fitted(
    model: nn.Module, state: Mapping[str, Tensor], network: Network, source: str
) -> tuple[dict[str, Tensor], list[str]]:
    try:
        found = fit(state, network.rules, model)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    notes = [*_adapt_input(found, network), *_renew_heads(found, network), *_drop_class_tokens(found, model)]
    if found.problems:
        notes += _renew_parts(found, network, model)
    if found.problems or not found.values:
        raise found.refusal(network.name, source)
    refuse_unusable_values(found, source)
    found.warn_of_interpolation(network.name)
    return {name: found.values.get(name, value) for name, value in found.own.items()}, notes


def refuse_unusable_values(found: Fit, source: str) -> None:
    """Refuse whole numbers where the model has floating-point ones, as in a quantised file, and what is not finite.

    Args:
        found: What the state dict is for the model.
        source: Where the state dict is from, for the message.

    Raises:
        UnusableValuesError: There are such values; the message names them.
    """
    kinds = [(name, _fault(value, found.own[name])) for name, value in found.values.items()]
    if lines := grouped((name, fault) for name, fault in kinds if fault):
        raise UnusableValuesError(f"{source} has values that no training can start from:", lines)


def _fault(value: Tensor, own: Tensor) -> str:
    """Return why a value cannot take the place of the model's own; empty if it can."""
    if own.is_floating_point() and not value.is_floating_point():
        return f"{value.dtype}, expected {own.dtype}"
    known = value.layout == torch.strided and not value.is_meta
    return "NaN or infinite" if known and not value.isfinite().all() else ""


def _adapt_input(found: Fit, network: Network) -> list[str]:
    """Fit the weights of the first convolution, which are for RGB, to other channels: summed for one, else repeated."""
    weight = f"{network.first_conv}.weight"
    if weight not in found.shapes:
        return []
    value, own = found.shapes[weight][1], found.own[weight]
    if value.ndim != 4 or value.shape[1] != 3 or (value.shape[0], value.shape[2:]) != (own.shape[0], own.shape[2:]):
        return []
    found.values[weight] = adapt_input_conv(own.shape[1], value)
    del found.shapes[weight]
    return [f"the first convolution is adapted from 3 channels to {own.shape[1]}"]


def _drop_class_tokens(found: Fit, model: nn.Module) -> list[str]:
    """Leave out the file's class tokens where the model has none, and their places in the table of positions beside them."""
    dropped = []
    for theirs, (ours, tokens) in list(found.left_over.items()):
        owner, dot, leaf = ours.rpartition(".")
        table = f"{owner}{dot}position.table"
        if leaf == "prefix" and table in found.shapes:
            their_table, places = found.shapes.pop(table)
            place(found, their_table, table, places[:, tokens.shape[1] :], model)
            del found.left_over[theirs]
            dropped.append((theirs, "the class token, is left out"))
    return grouped(dropped)


def _renew_heads(found: Fit, network: Network) -> list[str]:
    """Leave the heads as they were drawn if the file has none or one of another size; drop the file's if the model has none."""
    prefixes = tuple(f"{head}." for head in network.heads)
    names = [name for name in found.own if name.startswith(prefixes)]
    others = [name for name in names if name in found.shapes]
    absent = all(name in found.empty for name in names)
    narrow = [name for name in others if found.shapes[name][1].shape[1:] != found.own[name].shape[1:]]
    if narrow or not (absent or others):
        return []
    sizes = {len(found.shapes[name][1]) for name in others}
    gone = [name for name, one in found.left_over.items() if one[0].startswith(prefixes)]
    found.left_over = {name: one for name, one in found.left_over.items() if name not in gone}
    found.draw_new(names)
    if not names and gone:
        return [f"the head of the file is left out ({' and '.join(gone)})"]
    theirs = f"has {' and '.join(map(str, sizes))}" if sizes else "has no such head"
    if gone:
        theirs += f", {' and '.join(gone)} is left out"
    return [f"the head is new ({len(found.own[names[0]])} classes; the file {theirs})"] if names else []


def _renew_parts(found: Fit, network: Network, model: nn.Module) -> list[str]:
    """Leave parts as they were drawn that the user swapped for another class and the file does not fit, and drop the file's.

    A part is taken whole or not at all: alike names in parts of two classes need not mean the same.
    """
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        default = network.default()
    theirs = default.state_dict()
    wanted = {name: _renamed(found, name, theirs) for name in found.left_over}
    swapped = {name: _swapped_part(name, model, default) for name in (*found.empty, *found.shapes, *wanted.values())}
    parts = {part for part in swapped.values() if part}
    for name, ours in wanted.items():
        if swapped[ours]:
            del found.left_over[name]
    renewed = {part: [name for name in found.own if name.startswith(f"{part}.")] for part in sorted(parts)}
    for names in renewed.values():
        found.draw_new(names)
    new = [(part, "new") for part, names in renewed.items() if names]
    gone = [(part, "left out") for part, names in renewed.items() if not names]
    return grouped([*new, *gone], "parts")


def _renamed(found: Fit, name: str, own: Mapping[str, Tensor]) -> str:
    """Return what a name of theirs would be in a model with these names."""
    renamed = found.rules.rename(name, own)
    return renamed[0] if renamed and name not in own else name


def _swapped_part(name: str, model: nn.Module, default: nn.Module) -> str | None:
    """Return the outermost part of a model around a name that the user swapped, added or took out; None if there is none."""
    names = name.split(".")
    modules, defaults = dict(model.named_modules()), dict(default.named_modules())
    for count in range(1, len(names)):
        part = ".".join(names[:count])
        ours, theirs = modules.get(part), defaults.get(part)
        if type(ours) is not type(theirs):
            lacking = ours is None or theirs is None
            return None if lacking and names[count - 1].isdigit() else part
    return None
