"""Detection of handwritten digits, written to disk and read like any other data: nothing to download."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from vittasks.data.dense.coco_objects import Pictures, read_coco
from vittasks.data.dense.faults import Faults
from vittasks.data.dense.written_scenes import SceneRecipe, scenes_hash, write_scenes
from vittasks.data.epoch_loader import EpochLoader, eval_loader, train_loader
from vittasks.data.sampling import EpochSampler

Batch = tuple[list[Tensor], list[dict[str, Tensor]]]


def as_lists(samples: list[tuple[Tensor, dict[str, Tensor]]]) -> Batch:
    """Return the images of a batch and its targets, each in a list: their sizes may differ."""
    images, targets = zip(*samples, strict=True)
    return list(images), list(targets)


class DigitDetection(LightningDataModule):
    """Find the digits of a scene: 10 classes, a box and a mask each; the scenes are those of ``DigitSegmentation``.

    Args:
        root: Folder in which the scenes are written, each kind in a folder of its own.
        recipe: How scenes are put together, and how many there are.
        batch_size: Images in a batch.
        workers: Processes that read.
        seed: Of the training's order; the scenes have a seed of their own.

    Attributes:
        num_classes: 10.
        image_shape: (1, side, side).

    Shapes:
        batches are a list of images (1, side, side) from 0 to 1, and a list of targets: boxes (n, 4) in pixels, labels (n,)
        from 0 to 9, masks (n, side, side), iscrowd (n,) and area (n,).
    """

    num_classes = 10

    def __init__(
        self,
        root: str = "runs/digit_scenes",
        recipe: SceneRecipe = SceneRecipe(),  # noqa: B008 (never changed)
        batch_size: int = 16,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.scenes, self.recipe = Path(root), recipe
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.in_chans, self.image_shape = 1, (1, recipe.side, recipe.side)
        self.pictures: dict[str, Pictures] = {}

    def fingerprint(self) -> str:
        """Which data these are: a hash of the digits and of what defines the scenes; it needs no file."""
        return scenes_hash(self.recipe)

    def prepare_data(self) -> None:
        """Write the scenes, unless they are there."""
        write_scenes(self.recipe, self.scenes)

    def setup(self, stage: str) -> None:
        """Read the objects of the splits that the stage needs."""
        folder = self.scenes / scenes_hash(self.recipe)[:16]
        for split in (
            ("training", "validation") if stage == "fit" else ("validation",) if stage == "validate" else ("test",)
        ):
            faults = Faults(type(self).__name__, folder, "refuse")
            file = read_coco(folder / f"instances_{split}.json", folder / "images" / split, faults)
            faults.settle()
            self.pictures[split] = Pictures(file, 1, None, "kept" if split != "training" else "left out", self.seed)

    def train_dataloader(self) -> EpochLoader:
        """Full batches of scenes, in an order drawn from (seed, epoch)."""
        data: Any = self.pictures["training"]
        return train_loader(data, EpochSampler(len(data), self.seed), self.batch_size, self.workers, as_lists)

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation scenes."""
        data: Any = self.pictures["validation"]
        return eval_loader(data, self.batch_size, self.workers, as_lists)

    def test_dataloader(self) -> DataLoader[Any]:
        """The test scenes."""
        data: Any = self.pictures["test"]
        return eval_loader(data, self.batch_size, self.workers, as_lists)

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test scenes."""
        return self.test_dataloader()
