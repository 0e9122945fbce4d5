"""What can be set at the top of a configuration."""

from typing import Literal

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from vitmodels.skeletons.entries import Entry, callable_entries


def schema() -> dict[str, Entry]:
    """Return what can be set at the top of a configuration.

    Attributes:
        seed_everything: Seed of the weights, of the training's order and of augmentation; an ablation sets it for each trial.
        trainer: Arguments of Lightning's Trainer.
        model: The task: a LightningModule with a network in it.
        data: The LightningDataModule.
        threads: CPU threads that torch uses in each process; null for torch's own choice.
        runs: Directory of the results.
        ckpt_path: Checkpoint from which a single run continues, or which is evaluated.
        pretraining: How classifiers are trained from which the backbones start; null for a start from scratch.
    """
    return {
        "seed_everything": Entry(int, 0),
        "trainer": Entry(dict, {}, group=callable_entries(Trainer)),
        "model": Entry(LightningModule),
        "data": Entry(LightningDataModule),
        "threads": Entry(int | None, None),
        "runs": Entry(str, "runs"),
        "ckpt_path": Entry(str | None, None),
        "pretraining": Entry(
            dict | None,
            None,
            group={
                "model": Entry(LightningModule),
                "backbone": Entry(dict, {}),
                "data": Entry(LightningDataModule),
                "trainer": Entry(dict, {}, group=callable_entries(Trainer)),
                "seeds": Entry(Literal["one", "each"], "one"),
            },
        ),
    }
