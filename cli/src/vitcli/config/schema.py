"""What can be set at the top of a configuration."""

from typing import Literal

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from vitmodels.skeletons.entries import Entry, callable_entries


def schema() -> dict[str, Entry]:
    """Return what can be set at the top of a configuration.

    These are trainer, model and data, the seed, torch's threads, the directory of the results, a checkpoint to load, and the
    pretraining of the backbone.
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
