"""LightningCLI as this project uses it, and configurations resolved by it: every value stated, defaults filled in."""

import contextlib
import io
import json
import logging
import re
import warnings
from argparse import ArgumentError
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from vitcli.errors import ConfigError
from vitcli.overlay import Entry, callable_entries

logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)

OWN = {
    "seed_everything": Entry(int, 0),
    "threads": Entry(int | None, None),
    "runs": Entry(str, "runs"),
    "ckpt_path": Entry(str | None, None),
}
"""Entries at the top beside trainer, model and data: the seed, torch's threads, where runs go, and what to load."""


class VitCLI(LightningCLI):
    """LightningCLI for any task and any data module; the loop over subcommands is vitcli's own."""

    def __init__(self, config: dict[str, Any], callbacks: list[Callback] | None = None) -> None:
        with warnings.catch_warnings():
            # The configuration comes from vitcli's own command line, which is still in sys.argv.
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended to run from within Python")
            self._build(config, callbacks)

    def _build(self, config: dict[str, Any], callbacks: list[Callback] | None) -> None:
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
        """Add vitcli's own entries."""
        parser.add_argument("--threads", type=int | None, default=None, help="torch's threads in this process")
        parser.add_argument("--runs", type=str, default="runs", help="where runs go")
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="checkpoint to load")

    def before_instantiate_classes(self) -> None:
        """Set the number of threads before anything is computed: it is part of what determines the bits."""
        if self.config["threads"]:
            torch.set_num_threads(self.config["threads"])


class _Resolver(VitCLI):
    def instantiate_classes(self) -> None:
        """Parse only."""


def schema() -> dict[str, Entry]:
    """Return what can be set at the top of a configuration."""
    trainer = Entry(dict, {}, group=callable_entries(Trainer))
    return {**OWN, "trainer": trainer, "model": Entry(LightningModule), "data": Entry(LightningDataModule)}


def resolve(config: dict[str, Any], place: str) -> dict[str, Any]:
    """Return ``config`` with every value stated: the defaults of every class filled in, every type checked.

    Args:
        config: What was set; see ``vitcli.overlay``.
        place: Where it was set, for messages.

    Raises:
        ConfigError: Something is missing or of the wrong type.
    """
    for name, kind in (("model", "vittasks.Classification"), ("data", "vittasks.DigitScenes")):
        if config.get(name) is None:
            raise ConfigError(f"{place}: {name} is missing; name its class, for example {name}: {kind}.")
    random_state = torch.get_rng_state()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            resolver = _Resolver(config)
        text = resolver.parser.dump(resolver.config, skip_none=False, format="json")
    except (ArgumentError, TypeError, ValueError, KeyError) as error:
        raise ConfigError(f"{place}: {_one_sentence(str(error))}") from error
    finally:
        torch.set_rng_state(random_state)
    resolved: dict[str, Any] = json.loads(text)
    return resolved


def _one_sentence(message: str) -> str:
    """Return the key, reason and value from a nested message of jsonargparse."""
    keys = [key for key in re.findall(r'(?:Parser key|Key|key) "([^"]+)"', message) if key]
    reason = re.split(r"\. Got value| Given value", message.split('":')[-1].strip())[0]
    value = re.findall(r"Got value: (\S.*?)(?:\. Got value|$)", message)
    shown = f" is {value[0]}" if value else ""
    return f"{'.'.join(keys) or 'the configuration'}{shown}: {' '.join(reason.split())}."
