"""LightningCLI as this project uses it, and its complete configurations: files laid over each other, with defaults."""

import logging
import os
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from vitcli.config.command_line import NEEDED, Arguments, missing
from vitcli.config.defaults import as_namespace, complete
from vitcli.config.errors import ConfigError
from vitcli.config.names import refuse_long_path
from vitcli.config.number_of_classes import with_number_of_classes
from vitcli.config.overlay import lay_over
from vitcli.config.pretraining import PRETRAINING, complete_pretraining
from vitcli.config.schema import schema

logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)
# Lightning recommends its company's packages in every run.
logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
    lambda record: "Tip: For" not in record.getMessage()
)

STARTS = {"pretrained": "", "checkpoint_path": "timm.", "weights": "torchvision.", "path": "vitmodels.load_checkpoint"}
"""Arguments that name weights to start from, and how the import paths of what takes them begin."""


FILE_LOGGERS = ("lightning.pytorch.loggers.CSVLogger", "lightning.pytorch.loggers.TensorBoardLogger")
"""Loggers that need a ``save_dir``."""


LOWEST = {
    "threads": 1,
    "seed_everything": 0,
    "trainer.accumulate_grad_batches": 1,
    "trainer.check_val_every_n_epoch": 1,
}
"""Key -> the smallest whole number that makes sense there, where Lightning takes any."""
LARGEST_SEED = 2**32 - 1
"""The largest that numpy takes."""


class VitCLI(LightningCLI):
    """LightningCLI for any task and any data module, built from a complete configuration; it reads no command line."""

    def __init__(self, config: dict[str, Any], callbacks: list[Callback] | None = None) -> None:
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            run=False,
            trainer_defaults={"callbacks": callbacks or []},
            parser_kwargs={"exit_on_error": False},
            args=config,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the entries that vitcli has beside Lightning's."""
        parser.add_argument(
            "--threads", type=int | None, default=None, help="number of CPU threads that torch uses in this process"
        )
        parser.add_argument("--runs", type=str, default="runs", help="directory of the results")
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="checkpoint to load")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Use the configuration as it is: every value is stated and checked. A pretraining is a separate run."""
        own = {name: value for name, value in args.items() if name != PRETRAINING}
        self.config = as_namespace(own, schema())
        self.config_dump = own

    def instantiate_classes(self) -> None:
        """Build model, data and trainer; the model keeps plain factories of optimizer and schedule.

        jsonargparse's factories hold the object that builds classes, from which the trainer and its locks can be reached. A model
        that holds them cannot be copied, as ``EMAWeightAveraging`` does, nor sent to another process.
        """
        super().instantiate_classes()
        for name, value in vars(self.model).items():
            if isinstance(value, partial) and value.args and isinstance(value.args[-1], type):
                setattr(self.model, name, partial(value.args[-1], **value.keywords))

    def before_instantiate_classes(self) -> None:
        """Set the number of threads before anything is computed, since the exact results depend on it."""
        if self.config["threads"]:
            torch.set_num_threads(self.config["threads"])


def base_config(arguments: Arguments) -> dict[str, Any]:
    """Return the configuration of all files and the command line, laid over each other, without the ``ablation`` section.

    Raises:
        ConfigError: A key does not exist, or a value has the wrong type.
    """
    config: dict[str, Any] = {}
    entries = schema()
    for place, content in arguments.layers():
        lay_over(config, entries, content, place)
    return config


def resolve(config: dict[str, Any], place: str) -> dict[str, Any]:
    """Return ``config`` with the defaults of every class filled in, so that every value is stated.

    A backbone that states no number of classes gets that of the data.

    Args:
        config: The values that were set, their types checked; see ``vitcli.config.overlay``.
        place: Where they were set, for messages.

    Raises:
        ConfigError: A value is missing or out of range, or a file does not exist.
    """
    for name in NEEDED:
        if config.get(name) is None:
            raise missing(name, place)
    refuse_long_path(place, "runs", config.get("runs") or "")
    _refuse_numbers(config, place)
    _refuse_missing_checkpoint(config.get("ckpt_path"), place)
    own = {name: value for name, value in with_number_of_classes(config, place).items() if name != PRETRAINING}
    filled = complete(
        _with_directories(own), {name: entry for name, entry in schema().items() if name != PRETRAINING}, place
    )
    if config.get(PRETRAINING) is not None:
        filled[PRETRAINING] = complete_pretraining(config[PRETRAINING], filled, place)
    return filled


def _refuse_numbers(config: dict[str, Any], place: str) -> None:
    for key, lowest in LOWEST.items():
        name = key.removeprefix("trainer.")
        value = ((config.get("trainer") or {}) if name != key else config).get(name)
        if isinstance(value, int) and value < lowest:
            raise ConfigError(f"{place}: {key} is {value}; expected a whole number of at least {lowest}.")
    if (config.get("seed_everything") or 0) > LARGEST_SEED:
        raise ConfigError(f"{place}: seed_everything is {config['seed_everything']}; expected at most {LARGEST_SEED}.")


def _refuse_missing_checkpoint(path: str | None, place: str) -> None:
    if path and "://" in path:
        raise ConfigError(
            f"{place}: ckpt_path is {path!r}; expected a file on this machine: download it and give its path."
        )
    inside = [name for name in ("meta.pt", "last.ckpt") if path and os.path.exists(os.path.join(path, name))]
    if "last.ckpt" in inside:
        raise ConfigError(f"{place}: ckpt_path is {path!r}, a folder; give the checkpoint in it, {path}/last.ckpt.")
    # Some strategies write a folder with a piece of each process.
    if path and not os.path.isfile(path) and not inside:
        raise ConfigError(f"{place}: ckpt_path is {path!r}, but there is no such file.")


def _with_directories(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with the run's own directory, ``.``, for loggers that need one and have none."""
    trainer = config.get("trainer") or {}
    given = trainer.get("logger")
    loggers = given if isinstance(given, list) else [given]
    if not any(isinstance(one, dict) and one.get("class_path") in FILE_LOGGERS for one in loggers):
        return config
    filled = [
        {**one, "init_args": {"save_dir": ".", **(one.get("init_args") or {})}}
        if isinstance(one, dict) and one.get("class_path") in FILE_LOGGERS
        else one
        for one in loggers
    ]
    return {**config, "trainer": {**trainer, "logger": filled if isinstance(given, list) else filled[0]}}


def without_start(value: Any) -> Any:
    """Return a configuration without weights to start from, because trained weights replace them: no file, no download."""
    if isinstance(value, list):
        return [without_start(one) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {name: without_start(inner) for name, inner in value.items()}
    path, arguments = changed.get("class_path"), changed.get("init_args")
    if not isinstance(path, str) or not isinstance(arguments, dict):
        return changed
    start = {name for name, makers in STARTS.items() if arguments.get(name) and path.startswith(makers)}
    return changed | {"init_args": arguments | {name: _no_start(arguments[name]) for name in start}}


def _no_start(value: Any) -> bool | None:
    return False if isinstance(value, bool) else None
