"""The plan of an ablation: every arm resolved, its difference from the baseline, its cost and its identity."""

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from vitcli.ablation.planned import Plan, PlannedArm
from vitcli.ablation.spec import ablation_name, merge_sections, read_spec
from vitcli.arguments import Arguments
from vitcli.cost import count
from vitcli.errors import ConfigError
from vitcli.lightning_cli import resolve, schema
from vitcli.overlay import lay_over

NO_IDENTITY = (
    "seed_everything",
    "runs",
    "ckpt_path",
    "data.root",
    "data.seed",
    "data.workers",
    "trainer.accelerator",
    "trainer.barebones",
    "trainer.default_root_dir",
    "trainer.devices",
    "trainer.enable_autolog_hparams",
    "trainer.enable_checkpointing",
    "trainer.enable_model_summary",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.num_nodes",
    "trainer.profiler",
)
"""Entries that say where and how something runs, not what: two results that differ in these alone are results of one arm."""


def base_config(arguments: Arguments) -> dict[str, Any]:
    """Return the configuration of the files and the command line, arms aside.

    Raises:
        ConfigError: Something in it is wrong.
    """
    config: dict[str, Any] = {}
    entries = schema()
    for place, content in arguments.layers():
        lay_over(config, entries, content, place)
    return config


def make_plan(arguments: Arguments) -> Plan:
    """Resolve and cost every arm.

    Raises:
        ConfigError: Something in the files, an arm or on the command line is wrong.
    """
    spec = read_spec(merge_sections(arguments.ablation_sections()), arguments.place)
    base = base_config(arguments)
    base["threads"] = base.get("threads") or 1
    base.setdefault("trainer", {}).update(enable_progress_bar=False, enable_model_summary=False)
    entries, resolved = schema(), {}
    for arm, change in spec.arms.items():
        place = f"{arguments.place}, arm {arm}"
        config = copy.deepcopy(base)
        lay_over(config, entries, change, place)
        resolved[arm] = resolve(config, place)
    arms = {}
    for arm, config in resolved.items():
        place = f"{arguments.place}, arm {arm}"
        changed = difference(resolved[spec.baseline], config)
        _refuse_undeclared(changed, {**spec.arms[spec.baseline], **spec.arms[arm]}, place)
        arms[arm] = PlannedArm(config, identity(config), gather_stages(changed), **_cost(config, place))
    gpus = torch.cuda.device_count() if base["trainer"].get("accelerator", "auto") in ("auto", "gpu", "cuda") else 0
    name = ablation_name(arguments.files)
    question = spec.question or first_comment(arguments.files[0])
    return Plan(name, Path(resolved[spec.baseline]["runs"]) / name, question, spec, arms, gpus)


def first_comment(path: str) -> str:
    """Return the question in the header of an ablation file: what follows ``# Question`` up to the next heading."""
    words: list[str] = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line[1:]
        if text.startswith(" Question"):
            words.append(text.removeprefix(" Question").strip())
        elif words and text.startswith("  "):
            words.append(text.strip())
        elif words:
            break
    return " ".join(words)


def identity(config: dict[str, Any]) -> str:
    """Return the hash of what a configuration computes: paths, devices, loggers and the seed left out."""
    kept = {key: value for key, value in flat(config).items() if not any(_within(key, entry) for entry in NO_IDENTITY)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def difference(old: Any, new: Any, key: str = "") -> dict[str, list[Any]]:
    """Return key -> [old, new] for all that differs; a part of another class is one difference, not one an argument."""
    if isinstance(old, dict) and isinstance(new, dict) and old.get("class_path") == new.get("class_path"):
        found: dict[str, list[Any]] = {}
        for name in dict.fromkeys((*old, *new)):
            below = key if name == "init_args" else f"{key}.{name}" if key else name
            found |= difference(old.get(name), new.get(name), below)
        return found
    return {} if old == new else {key: [old, new]}


def gather_stages(changed: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Write a difference that is the same in all three or four stages once, under ``every``."""
    gathered: dict[str, list[Any]] = {}
    for key, pair in changed.items():
        parts = re.split(r"stage\d+", key, maxsplit=1)
        together = [
            other
            for other, value in changed.items()
            if re.split(r"stage\d+", other, maxsplit=1) == parts and value == pair
        ]
        gathered["every".join(parts) if len(parts) == 2 and len(together) >= 3 else key] = pair
    return gathered


def flat(config: Any, key: str = "") -> dict[str, Any]:
    """Return dotted key -> value for every leaf; ``init_args`` is left out of the keys."""
    if not isinstance(config, dict) or not config:
        return {key: config}
    leaves: dict[str, Any] = {}
    for name, value in config.items():
        leaves |= flat(value, key if name == "init_args" else f"{key}.{name}" if key else name)
    return leaves


def _refuse_undeclared(changed: dict[str, list[Any]], declared: dict[str, Any], place: str) -> None:
    prefixes = [
        re.escape(key.replace(".init_args", "")).replace("every", r"(every|stage\d+)") for key in flat(_plain(declared))
    ]
    for key, (old, new) in changed.items():
        if not any(
            re.match(rf"{prefix}(\.|$)", key) or re.match(rf"{re.escape(key)}(\.|$)", prefix) for prefix in prefixes
        ):
            raise ConfigError(
                f"{place}: {key} is {new!r} here and {old!r} in the baseline, but the arm does not say so; add it to the arm."
            )


def _plain(declared: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(declared)


def _cost(config: dict[str, Any], place: str) -> dict[str, int]:
    try:
        return count(config)
    except (ValueError, TypeError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{place}: the model cannot be built or does not fit the data: {text[:300]}") from error


def _within(key: str, entry: str) -> bool:
    return key == entry or key.startswith(entry + ".")
