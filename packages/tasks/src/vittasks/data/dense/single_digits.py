"""Classification of single handwritten digits, drawn like the scenes of dense tasks, as pretraining of their backbones."""

from collections.abc import Sequence
from hashlib import sha256

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vittasks.data.dense.digit_segmentation import MEAN, STD
from vittasks.data.dense.written_scenes import SceneRecipe, draw_scene, scenes_hash
from vittasks.data.epoch_loader import EpochLoader, check_batch, eval_loader, train_loader
from vittasks.data.sampling import EpochSampler, epoch_and_index

SINGLE = SceneRecipe(side=32, digits=(1, 1), digit_side=(16, 28), training=8000, validation=250, test=1000)
"""Scenes of 32 x 32 pixels with one digit of the size that it has in scenes of 64 x 64 pixels."""


class DrawnDigits(Dataset[tuple[Tensor, int]]):
    """The scenes of one split, drawn into memory: normalised images (1, side, side) and the digits that they show."""

    def __init__(self, recipe: SceneRecipe, folder: str) -> None:
        scenes = [draw_scene(recipe, folder, index) for index in range(getattr(recipe, folder))]
        pixels = torch.stack([torch.from_numpy(scene.image) for scene in scenes])[:, None]
        self.images = (pixels.float() / 255 - MEAN) / STD
        self.labels = [scene.classes[0] for scene in scenes]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, int]:
        _, index = epoch_and_index(item)
        return self.images[index], self.labels[index]


class SingleDigits(LightningDataModule):
    """Classify the one digit of a small scene: 10 classes, with the sizes, the noise and the digits of ``DigitSegmentation``.

    For a backbone that was trained on them, a scene is new only in that it has several digits.

    Args:
        recipe: How scenes are put together, and how many there are; each has one digit.
        batch_size: Images in a batch.
        workers: Processes that read.
        seed: Seed of the training's order; the scenes have a seed of their own.

    Attributes:
        num_classes: 10.
        class_names: The digits.
        image_shape: (1, side, side).

    Shapes:
        batches are (b, 1, side, side) float32 and (b,) int64.

    Raises:
        ValueError: The recipe allows several digits in a scene.
    """

    num_classes = 10
    class_names = tuple("0123456789")

    def __init__(self, recipe: SceneRecipe = SINGLE, batch_size: int = 64, workers: int = 0, seed: int = 0) -> None:
        super().__init__()
        if tuple(recipe.digits) != (1, 1):
            raise ValueError(f"SingleDigits: a scene has one digit, got recipe.digits={tuple(recipe.digits)}.")
        self.recipe, self.batch_size, self.workers, self.seed = recipe, batch_size, workers, seed
        self.in_chans, self.image_shape = 1, (1, recipe.side, recipe.side)
        self.drawn: dict[str, DrawnDigits] = {}

    def fingerprint(self) -> str:
        """Which data these are: a hash of the digits and of what defines the scenes."""
        return sha256(f"single {scenes_hash(self.recipe)}".encode()).hexdigest()

    def check_data(self) -> None:
        """Check that an epoch holds at least one batch, before anything is trained.

        Raises:
            ValueError: It does not.
        """
        check_batch(self.batch_size, self.recipe.training)

    def setup(self, stage: str) -> None:
        """Draw the scenes of the splits that the stage needs."""
        wanted: Sequence[str] = {"fit": ("training", "validation"), "validate": ("validation",)}.get(stage, ("test",))
        for folder in wanted:
            if folder not in self.drawn:
                self.drawn[folder] = DrawnDigits(self.recipe, folder)

    def train_dataloader(self) -> EpochLoader:
        """Full batches of digits, in an order drawn from (seed, epoch)."""
        data = self.drawn["training"]
        return train_loader(data, EpochSampler(len(data), self.seed), self.batch_size, self.workers)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation digits."""
        return eval_loader(self.drawn["validation"], self.batch_size, workers=0)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test digits."""
        return eval_loader(self.drawn["test"], self.batch_size, workers=0)

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test digits."""
        return self.test_dataloader()
