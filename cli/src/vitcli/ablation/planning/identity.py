"""The identity of an arm: a hash of what its configuration and the user's own code compute.

By it the results of earlier runs are recognised as those of an arm.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from vitcli.ablation.planning.difference import flat
from vitcli.config.pretraining import PRETRAINING, classifier_of
from vitcli.training.own_code import own_code
from vitcli.training.starting_weights import content_hash, weight_keys

NO_RESULT = (
    "seed_everything",
    "runs",
    "data.seed",
    "data.workers",
    "trainer.barebones",
    "trainer.default_root_dir",
    "trainer.enable_autolog_hparams",
    "trainer.enable_checkpointing",
    "trainer.enable_model_summary",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.profiler",
)
"""Entries that change no result; seeds are among them, since every arm is trained with the same ones."""

NO_IDENTITY = (
    *NO_RESULT,
    "data.root",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
)
"""Entries that say where and how something runs, not what it computes: they are left out of the hash."""

HASHED_AS = {
    "content_mixer": "content",  # a slot of a block
    "vitmodels.IdleLayerNorm": "vitmodels.idle_norm.IdleLayerNorm",  # a class path
}
"""Names that changed after the first results, and the earlier names that are hashed in their place.

A key or a class that gets a new name gets an entry here. Then the identities stay as they were, and finished runs still count.
"""

ADDED = {
    "padding": "masked",  # of window and cross-shaped attention; a convolution's padding is a number
    "test_split": None,  # these three of image folders
    "on_damaged": "refuse",
    "channels": None,
    "query_width": None,  # of global attention
    "undecayed": "vectors",  # from here on of all tasks: what learns, and how fast
    "layer_decay": 1.0,
    "backbone_lr": 1.0,
    "stages": 0,
    "batch_norms": "batch",
    "global_batch": None,
    "activations": "keep",
    "compile": None,
    "distillation": None,
    "warmup_steps": 0,  # these three of schedules
    "cooldown": 0.0,
    "fall_from": "peak",
}
"""Arguments that were added after the first results, and the value that computes what was computed before them.

At that value an argument is left out of the hash, so that finished runs still count.
"""


def identity(config: dict[str, Any]) -> str:
    """Return the hash of what a resolved configuration computes, without paths, devices, loggers and the seed.

    A file of weights counts by its content; without one, the entry for it is left out. A pretraining counts by the identity of
    the classifier that it trains, and by whether each trial has a classifier of its own.
    """
    files = weight_keys(config)
    kept = {
        _hashed_key(key): HASHED_AS.get(value, value) if isinstance(value, str) else value
        for key, value in _computing(config).items()
        if key not in files
    }
    kept |= {_hashed_key(key): f"sha256:{content_hash(path)}" for key, path in files.items() if path is not None}
    if config.get(PRETRAINING):
        kept[PRETRAINING] = f"{identity(classifier_of(config))}, seeds: {config[PRETRAINING]['seeds']}"
    if code := code_of(config):
        kept["code"] = code
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def code_of(config: dict[str, Any]) -> dict[str, str]:
    """Return import path -> hash of the code, for the classes of the user's own that a resolved configuration computes with."""
    return own_code(_computing(config).values())


def _computing(config: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a resolved configuration that change what is computed, without those of the pretraining."""
    return {
        key: value
        for key, value in flat(config).items()
        if not is_below(key, (*NO_IDENTITY, PRETRAINING)) and not _is_as_before(key, value)
    }


def _hashed_key(key: str) -> str:
    return ".".join(HASHED_AS.get(name, name) for name in key.split("."))


def is_below(key: str, entries: Iterable[str]) -> bool:
    """Whether a dotted key is one of some entries, or lies below one."""
    return any(key == entry or key.startswith(f"{entry}.") for entry in entries)


def _is_as_before(key: str, value: Any) -> bool:
    name = key.rpartition(".")[2]
    return name in ADDED and value == ADDED[name]
