"""Checkpoints of whole segmentation networks and detectors, public or of a run; every name is accounted for."""

import dataclasses
import inspect
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from vitmodels import PRESETS, KeyRules, read_checkpoint
from vitmodels.skeletons.checkpoint import Fit, fit
from vitmodels.skeletons.pretrained import refuse_unusable_values
from vittasks.dense.public_names import HEADS, MAP_NORMS, Renames, dense_rules

logger = logging.getLogger("vittasks")

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

BLOCK = re.compile(r"stages\.(\d+)\.blocks\.(\d+)\..+")
OF_AUXILIARY = ("auxiliary_head.*", "auxiliary.*")
"""Names of the auxiliary head, theirs and ours."""


def load_public_checkpoint(task: nn.Module, path: str | Path) -> None:
    """Load a public checkpoint, or a trained run, of the whole network into ``vittasks.Segmentation`` or ``vittasks.Detection``.

    Tables of positions are interpolated to the size of the task's images. If the task has no auxiliary head, the file's is
    ignored; everything else must fit. A task on the meta device is checked against the file and stays empty.

    Args:
        task: The task. For a public checkpoint its pyramid is one of vitmodels whose classifier has one too, and its detector
            follows mmdetection's rules.
        path: A checkpoint of mmsegmentation or mmdetection, or a run of the same task, its directory or its checkpoint.

    Raises:
        FileNotFoundError: There is nothing at this path.
        ValueError: The file holds no state dict, or there are no public names for the head.
        MisfitError: The file does not fit the task; the message names both pyramids and counts what does not fit. Or a value is
            unusable, see ``vitmodels.skeletons.pretrained.refuse_unusable_values``.
    """
    network, place = _network(task)
    state = read_checkpoint(path, whole=True)
    ours = _are_ours(state, network)
    heads = () if ours else _public_names(network)
    without = OF_AUXILIARY if getattr(network, "auxiliary", None) is None else ()
    found = _best_fit(state, network, place, heads, without)
    if found.problems:
        pyramid = f"{place}.pyramid."
        theirs = _below(_shapes(state), pyramid) if ours else _renamed(state)
        pair = _described(theirs), _described(_below(_shapes(found.own), pyramid))
        source = "{} holds a network on {}, but this one is on {}; it".format(path, *pair)
        raise found.refusal(f"this {type(task).__name__}", source)
    refuse_unusable_values(found, str(path))
    if next(network.parameters()).is_meta:
        return
    network.load_state_dict(found.values)
    resized = f"; {len(found.resized)} tables of positions were interpolated" if found.resized else ""
    logger.info("%s: all weights from %s%s.", type(task).__name__, path, resized)


def _network(task: Any) -> tuple[nn.Module, str]:
    """Return the module that the names are relative to, and the path of its dense backbone."""
    detector = getattr(task, "network", None)
    return (detector, "backbone.maps") if isinstance(detector, nn.Module) else (task, "backbone")


def _are_ours(state: Mapping[str, Tensor], network: nn.Module) -> bool:
    """Whether most names of a file are those of the network itself, as in the checkpoint of a run."""
    own = network.state_dict()
    return sum(name in own for name in state) > len(state) / 2


def _public_names(network: Any) -> Renames:
    """Return the rules that turn the public names of the network's heads into ours.

    Raises:
        ValueError: There are none for one of the heads.
    """
    parts = [network.head, network.auxiliary] if hasattr(network, "auxiliary") else [network]
    unknown = [type(one).__name__ for one in parts if one is not None and type(one).__name__ not in HEADS]
    if unknown:
        raise ValueError(
            f"load_public_checkpoint: no public names are known for {unknown[0]}; they are for {', '.join(HEADS)}."
        )
    return tuple(pair for one in parts if one is not None for pair in HEADS[type(one).__name__])


def _best_fit(
    state: Mapping[str, Tensor], network: nn.Module, place: str, heads: Renames, without: tuple[str, ...]
) -> Fit:
    """Return the fit of the file to the network under the pyramid's rules that leave the fewest names unmatched."""
    found = []
    for classifier in _systems():
        rules = dense_rules(classifier, MAP_NORMS, heads, place)
        found.append(fit(state, dataclasses.replace(rules, structural=(*rules.structural, *without)), network))
        if not found[-1].problems:
            break
    return min(found, key=lambda one: one.problems)


def _systems() -> list[KeyRules]:
    """Return the rules of all classifiers, each once."""
    return list({id(one.rules): one.rules for one in PRESETS.values() if one.rules is not None}.values())


def _renamed(state: Mapping[str, Tensor]) -> Shapes:
    """Return the shapes of a file's backbone under our names, by the rules that know most of its names."""
    theirs = _below(_shapes(state), "backbone.")
    found = []
    for rules in _systems():
        renamed = ((rules.rename(name, ()), shape) for name, shape in theirs.items())
        found.append({pair[0]: shape for pair, shape in renamed if pair is not None})
    return max(found, key=len)


def _shapes(state: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(value.shape) for name, value in state.items()}


def _below(names: Shapes, place: str) -> Shapes:
    return {name.removeprefix(place): shape for name, shape in names.items() if name.startswith(place)}


def _described(names: Shapes) -> str:
    """Return the name of the model whose blocks have these names and shapes, or of the most similar one."""
    depths = _depths(names)
    likely = [name for name in PRESETS if _preset_depths(name) == depths]
    if not likely:
        return f"a pyramid of {', '.join(map(str, depths))} blocks"
    different = {name: len(_of_blocks(_built(name)) ^ _of_blocks(names)) for name in likely}
    nearest = min(different, key=lambda name: different[name])
    return f"a pyramid like {nearest}" if different[nearest] else nearest


def _depths(names: Iterable[str]) -> tuple[int, ...]:
    """Return the number of blocks of each stage."""
    found = {(int(match[1]), int(match[2])) for name in names if (match := BLOCK.fullmatch(name))}
    return tuple(
        sum(stage == number for stage, _ in found) for number in range(1 + max((s for s, _ in found), default=-1))
    )


def _preset_depths(name: str) -> tuple[int, ...]:
    defaults = inspect.signature(PRESETS[name].builder).parameters
    stages = [defaults[f"stage{i}"].default for i in (1, 2, 3, 4) if f"stage{i}" in defaults]
    return tuple(stage.get("depth", 0) for stage in stages)


def _built(name: str) -> Shapes:
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        model = PRESETS[name].builder()
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def _of_blocks(names: Shapes) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, shape) for name, shape in names.items() if BLOCK.fullmatch(name)}
