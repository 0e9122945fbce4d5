"""A task as somebody else would write it: tiny segmentation that knows nothing of this project."""

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Blobs(pl.LightningDataModule):
    """Bright squares in noise, and their masks; it takes no arguments and states neither shapes nor classes."""

    def setup(self, stage: str) -> None:
        """Draw the images."""
        draw = torch.Generator().manual_seed(0)
        mask = torch.zeros(16, 12, 12, dtype=torch.long)
        for one, (i, j) in zip(mask, torch.randint(0, 8, (16, 2), generator=draw).tolist(), strict=True):
            one[i : i + 4, j : j + 4] = 1
        image = mask[:, None] + 0.3 * torch.randn(16, 1, 12, 12, generator=draw)
        self.images = TensorDataset(image, mask)

    def train_dataloader(self) -> DataLoader:
        """Batches of four, always in one order."""
        return DataLoader(self.images, batch_size=4, generator=torch.Generator())

    def val_dataloader(self) -> DataLoader:
        """The same images."""
        return self.train_dataloader()

    def test_dataloader(self) -> DataLoader:
        """The same images."""
        return self.train_dataloader()


class Mapping(Blobs):
    """Batches that are mappings, so that nobody can know which entry the model takes."""

    def train_dataloader(self) -> DataLoader:
        """Batches of four."""
        pairs = [{"picture": image, "mask": mask} for image, mask in self.images]
        return DataLoader(pairs, batch_size=4, generator=torch.Generator())


class Segmentation(pl.LightningModule):
    """Two convolutions and a mask.

    Args:
        width: Channels between them.
        activation: Between them.
        lr: Learning rate.
    """

    def __init__(self, width: int = 4, activation: type[nn.Module] = nn.ReLU, lr: float = 0.1) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), activation(), nn.Conv2d(width, 2, 1))
        self.lr = lr

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of every pixel."""
        return self.net(image)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the loss."""
        image, mask = batch
        return nn.functional.cross_entropy(self(image), mask)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Log the share of pixels that are right."""
        image, mask = batch
        self.log("test/pixels", (self(image).argmax(1) == mask).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), self.lr)


class WithExample(Segmentation):
    """The same with an example input of three images."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(width)
        self.example_input_array = torch.zeros(3, 1, 20, 20)


class NeedsValues(Segmentation):
    """Looks at values in ``forward``, as detectors do, so that it cannot run without memory for its tensors."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, after a look at the image."""
        if image.sum().item() > 1e9:
            raise ValueError("too bright")
        return self.net(image)


class NeedsPlaces(Segmentation):
    """Looks where the image is bright, with an operation that torch cannot run without memory."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, after a look at the places."""
        return self.net(image) + 0 * len(image.nonzero())


class Unscored(Segmentation):
    """Has no test step."""

    test_step = pl.LightningModule.test_step
