"""An ablation whose arms are resolved; the epochs that its budget gives them are not known yet."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitcli.ablation.planning.checks.idle_arms import refuse_equal, refuse_overwritten
from vitcli.ablation.planning.section import read_spec
from vitcli.ablation.planning.spec import AblationSpec
from vitcli.config.command_line import Arguments
from vitcli.config.lightning_cli import base_config, resolve
from vitcli.config.names import run_name
from vitcli.config.overlay import lay_over
from vitcli.config.schema import schema


@dataclass(frozen=True)
class Draft:
    """The content of the files and the command line.

    Args:
        spec: The ``ablation`` section.
        file: The first file, for messages.
        budget_place: Where the budget is set, for messages.
        metric_place: Where the metric is set, for messages.
        configs: Each arm's resolved configuration, with the epochs that the files give it.
        places: For each arm, the file that sets it and its name, for messages.
    """

    spec: AblationSpec
    file: str
    budget_place: str
    metric_place: str
    configs: dict[str, dict[str, Any]]
    places: dict[str, str]

    @property
    def name(self) -> str:
        """The ablation's name."""
        return run_name(self.file)

    @property
    def directory(self) -> Path:
        """The directory of the ablation's results."""
        return Path(self.configs[self.spec.baseline]["runs"]) / self.name


def resolve_arms(arguments: Arguments) -> Draft:
    """Resolve the configuration of every arm; no model is built.

    Raises:
        ConfigError: Something in the files, an arm or on the command line is wrong, or two arms compute the same.
    """
    spec, places = read_spec(arguments.ablation_sections(), arguments.place)
    base = base_config(arguments)
    base["threads"] = 1 if base.get("threads") is None else base["threads"]
    base.setdefault("trainer", {}).update(enable_progress_bar=False, enable_model_summary=False)
    made = places.get("factors", arguments.place)  # the place of arms that follow from factors
    named = {arm: f"{places.get(f'arms.{arm}', made)}, arm {arm}" for arm in spec.arms}
    configs = {arm: _resolved(base, change, named[arm]) for arm, change in spec.arms.items()}
    refuse_equal(configs, spec.baseline, named)
    return Draft(
        spec,
        arguments.place,
        places.get("budget", arguments.place),
        places.get("metric", arguments.place),
        configs,
        named,
    )


def _resolved(base: Mapping[str, Any], change: Mapping[str, Any], place: str) -> dict[str, Any]:
    refuse_overwritten(change, place)
    config = copy.deepcopy(dict(base))
    lay_over(config, schema(), change, place)
    return resolve(config, place)
