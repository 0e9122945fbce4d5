"""Optimizer and schedule values of the configuration override those of a checkpoint."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

PARTS = ("params", "lr")
"""Entries of a group that are not hyper-parameters: its parameters, and the learning rate that the schedule has reached."""


class GivenValues(Callback):
    """Keeps the configuration's learning rate, weight decay and so on when a training continues with changed values.

    Loading an optimizer's state also loads the hyper-parameters of its groups, so that ``--model.optimizer.lr 1e-5`` beside
    ``--ckpt_path`` would be silently ignored. Values that the configuration has changed since the checkpoint are set again;
    values that schedules have changed, and the optimizer's state, such as moments, are kept.
    """

    def __init__(self) -> None:
        self.given: list[list[dict[str, Any]]] = []
        self.before: list[list[dict[str, Any]]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the values, before a checkpoint is loaded into optimizers and schedules."""
        self.given = [[_hyperparameters(group) for group in one.param_groups] for one in trainer.optimizers]

    def state_dict(self) -> dict[str, Any]:
        """Return the values of the configuration, for the checkpoint."""
        return {"given": self.given}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the values with which the checkpoint was made."""
        self.before = state_dict["given"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the values that the configuration has changed, and say which."""
        changed: dict[str, tuple[Any, Any]] = {}
        for optimizer, now, then in zip(trainer.optimizers, self.given, self.before, strict=False):
            for group, new, old in zip(optimizer.param_groups, now, then, strict=False):
                different = {name: new[name] for name in new if name in old and new[name] != old[name]}
                changed |= {name: (old[name], value) for name, value in different.items()}
                if "initial_lr" in different:
                    _raise_rate(trainer, group, old["initial_lr"], new["initial_lr"])
                group.update(different)
        for name, (old, new) in changed.items():
            named = "lr" if name == "initial_lr" else name
            rank_zero_info(
                f"{named} is {new} from here on, as the configuration says; the checkpoint was made with {old}."
            )


def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
    constant = {name: value for name, value in group.items() if name not in PARTS}
    return constant if "initial_lr" in constant else {**constant, "lr": group["lr"]}


def _raise_rate(trainer: Trainer, group: dict[str, Any], old: float, new: float) -> None:
    """Change the peak learning rate of a group: the schedule continues where it is, scaled in proportion."""
    group["lr"] *= new / old
    for config in trainer.lr_scheduler_configs:
        for index, one in enumerate(config.scheduler.optimizer.param_groups):
            if one is group and hasattr(config.scheduler, "base_lrs"):
                config.scheduler.base_lrs[index] = new
