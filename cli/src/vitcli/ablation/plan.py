"""The plan of an ablation: every arm resolved, its difference from the baseline, its cost and its identity."""

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vitcli.ablation.planned import Plan, PlannedArm
from vitcli.ablation.spec import ablation_name, merge_sections, read_spec
from vitcli.arguments import Arguments
from vitcli.cost import checked_cost
from vitcli.errors import ConfigError
from vitcli.lightning_cli import resolve, schema
from vitcli.overlay import lay_over

NO_IDENTITY = (
    "seed_everything",
    "runs",
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
    "trainer.strategy",
)
"""Entries that say where and how something runs, not what: two results that differ in these alone are results of one arm."""

STAGE = re.compile(r"(?<![^.])stage\d+(?![^.])")


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
    section, places = merge_sections(arguments.ablation_sections())
    spec = read_spec(section, places, arguments.place)
    base = base_config(arguments)
    base["threads"] = 1 if base.get("threads") is None else base["threads"]
    base.setdefault("trainer", {}).update(enable_progress_bar=False, enable_model_summary=False)
    entries, resolved = schema(), {}
    made = places.get("factors", arguments.place)  # where the arms that nobody wrote down come from
    named = {arm: f"{places.get(f'arms.{arm}', made)}, arm {arm}" for arm in spec.arms}
    for arm, change in spec.arms.items():
        config = copy.deepcopy(base)
        lay_over(config, entries, change, named[arm])
        resolved[arm] = resolve(config, named[arm])
    arms = {}
    for arm, config in resolved.items():
        changed = difference(resolved[spec.baseline], config)
        refuse_undeclared(changed, (spec.arms[spec.baseline], spec.arms[arm]), named[arm])
        arms[arm] = PlannedArm(
            config, identity(config), gather_stages(changed, config), **checked_cost(config, named[arm])
        )
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


def gather_stages(changed: dict[str, list[Any]], config: dict[str, Any]) -> dict[str, list[Any]]:
    """Write a difference that is the same in all stages of a model once, under ``every``."""
    stages: dict[str, set[str]] = {}
    for key in flat(config):
        if found := STAGE.search(key):
            stages.setdefault(key[: found.start()], set()).add(found.group())
    gathered: dict[str, list[Any]] = {}
    for key, pair in changed.items():
        found = STAGE.search(key)
        if found:
            head, tail = key[: found.start()], key[found.end() :]
            if all(changed.get(f"{head}{stage}{tail}") == pair for stage in stages.get(head, {found.group()})):
                key = f"{head}every{tail}"
        gathered[key] = pair
    return gathered


def flat(config: Any, key: str = "") -> dict[str, Any]:
    """Return dotted key -> value for every leaf; ``init_args`` is left out of the keys."""
    if not isinstance(config, dict) or not config:
        return {key: config}
    leaves: dict[str, Any] = {}
    for name, value in config.items():
        leaves |= flat(value, key if name == "init_args" else f"{key}.{name}" if key else name)
    return leaves


def refuse_undeclared(changed: dict[str, list[Any]], arms: Iterable[Mapping[str, Any]], place: str) -> None:
    """Stop if an arm differs from the baseline in something that neither of them says.

    Args:
        changed: The resolved difference; see ``difference``.
        arms: What the two arms set.
        place: The arm, for the message.

    Raises:
        ConfigError: A difference is not declared.
    """
    declared = [names for arm in arms for names in _declared(arm)]
    for key, (old, new) in changed.items():
        names = key.split(".")
        follows = [name for name in names if name != "alternate"]  # every second block follows a change of its stage
        if not any(_covers(said, names) or _covers(said, follows) for said in declared):
            raise ConfigError(
                f"{place}: {key} is {new!r} here and {old!r} in the baseline, but the arm does not say so; add it to the arm."
            )


def _declared(change: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in change.items():
        names = (
            *above,
            *(name for name in str(key).removesuffix("+").split(".") if name not in ("init_args", "class_path")),
        )
        if isinstance(value, Mapping) and value and "class_path" not in value:
            yield from _declared(value, names)
        else:
            yield names


def _covers(declared: Sequence[str], changed: Sequence[str]) -> bool:
    """Whether a declared key is the changed one or above it."""
    return len(declared) <= len(changed) and all(
        said == name or (said == "every" and STAGE.fullmatch(name))
        for said, name in zip(declared, changed, strict=False)
    )


def _within(key: str, entry: str) -> bool:
    return key == entry or key.startswith(entry + ".")
