"""A classification task from handwriting that ships with scikit-learn: nothing to download."""

from collections.abc import Sequence
from hashlib import sha256

from lightning.pytorch import LightningDataModule
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.transforms import functional as F

from vittasks.data.digit_composites import (
    FIXED_SEED,
    MEAN,
    SPLIT_SEED,
    STD,
    Recipe,
    compose,
    fixed_composites,
    load_sources,
    split_sources,
)
from vittasks.data.epoch_loader import EpochLoader, check_batch, eval_loader, train_loader
from vittasks.data.sampling import EpochSampler, epoch_and_index


class TrainingComposites(Dataset[tuple[Tensor, int]]):
    """Composites made on the fly; item (epoch, index) is the same tensor in any batch and any worker."""

    def __init__(self, recipe: Recipe, passes: int, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.size = passes * len(split_sources("train"))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, int]:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[tuple[int, int] | int]) -> list[tuple[Tensor, int]]:
        """A whole batch at once, which is many times faster than one by one; the DataLoader calls it when it exists."""
        images, labels = compose(self.recipe, "train", self.seed, [epoch_and_index(item) for item in items])
        return list(zip(images, labels.tolist(), strict=True))


class DigitScenes(LightningDataModule):
    """Name the one large digit on a canvas strewn with pieces of other digits.

    The sources are the 1,797 images of 8 x 8 pixels and 10 classes that scikit-learn ships as ``load_digits``. A
    composite shows one of them, enlarged to 0.45-0.65 of a canvas of 32 x 32 pixels, turned by up to 0.4 rad and put
    anywhere it fits whole, with six pieces of 6 x 6 pixels, cut from other images as they are and pasted anywhere: small
    digits without their rims. Where things overlap, the darker ink counts. Every number here is an argument.

    The sources are split once and for all into 1,297 for training and 25 of each class for validation and for test, and
    the pieces of a composite come from its own split: no training pixel is seen at evaluation. One epoch shows each
    training source ``passes`` times, composed anew from (seed, epoch, index). Validation and test sets are the same in
    every run; they hold each of their 250 sources equally often if their size is a multiple of 250.

    Why locality can matter: the digit and the pieces are made of the same strokes, and what tells them apart is that the
    digit's are 1.8 to 2.6 times as wide. That is a property of neighbouring pixels, the same all over the canvas. A
    network that does not start from neighbourhoods has to learn it for every place, from 1,297 drawings.

    How hard it is (chance is 0.100): multinomial logistic regression on the pixels of 20 epochs of composites reaches
    0.191 on the test set, the mean of 5 seeds (``python benchmarks/data_difficulty.py``).
    With six pieces of clutter, the default, a plain DeiT of the size that the shipped ablations train (3 layers, width 48,
    patches of 4 pixels) reaches 0.140, the mean of 5 seeds; 1 x 1 convolutions with BatchNorm in place of its feed-forwards
    0.266, with a depth-wise 3 x 3 convolution among them 0.783 (14 epochs, November 2026). The shipped ablations have two or
    three pieces.

    Args:
        canvas: Side of a composite, in pixels.
        digit_scale: Smallest and largest side of the digit's 8 x 8 square, as a fraction of ``canvas``.
        max_angle: Largest turn of the digit either way, in radians.
        clutter: Pieces of other digits in a composite.
        clutter_side: Side of a piece in pixels, both of the source and of the canvas; at most 8.
        channels: Channels of a composite, all equal.
        passes: Composites per training source and epoch.
        batch_size: Composites in a batch; the training leaves out an incomplete last one.
        val_size: Composites in the fixed validation set.
        test_size: Composites in the fixed test set.
        seed: Seed of the training's order and composites, and of nothing else.
        workers: Processes that compose training batches; the batches are the same for any number.

    Attributes:
        num_classes: 10.
        class_names: The digits.
        in_chans: ``channels``.
        image_shape: (channels, canvas, canvas).
        mean: Mean of the ink, 0 to 1, subtracted from each channel.
        std: Standard deviation of the ink, by which each channel is divided.

    Shapes:
        batches are (b, channels, canvas, canvas) float32, of mean 0 and standard deviation 1 for the default recipe,
        and (b,) int64.

    Raises:
        ValueError: the digit cannot fit whole, a piece is larger than its source, a count is too small, or a batch is
            larger than an epoch.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998, of
    which scikit-learn bundles the test part. Clutter cut from other digits: V. Mnih et al., Recurrent models of visual
    attention, NeurIPS 2014.
    """

    num_classes = 10
    class_names = tuple("0123456789")

    def __init__(
        self,
        canvas: int = 32,
        digit_scale: tuple[float, float] = (0.45, 0.65),
        max_angle: float = 0.4,
        clutter: int = 6,
        clutter_side: int = 6,
        channels: int = 1,
        passes: int = 1,
        batch_size: int = 64,
        val_size: int = 2000,
        test_size: int = 2000,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        if min(passes, batch_size, val_size, test_size) < 1:
            raise ValueError(
                "DigitScenes: passes, batch_size, val_size and test_size must be at least 1, "
                f"got {passes}, {batch_size}, {val_size} and {test_size}."
            )
        self.recipe = Recipe(canvas, (digit_scale[0], digit_scale[1]), max_angle, clutter, clutter_side, channels)
        self.in_chans, self.image_shape = channels, (channels, canvas, canvas)
        self.mean, self.std = (MEAN,) * channels, (STD,) * channels
        self.passes, self.batch_size, self.seed, self.workers = passes, batch_size, seed, workers
        self.val_size, self.test_size = val_size, test_size

    def eval_transform(self, picture: Image.Image | Tensor) -> Tensor:
        """Turn a picture of bright strokes on a dark ground, of any size, into an input (channels, canvas, canvas)."""
        side = self.recipe.canvas
        ink = (picture if isinstance(picture, Tensor) else F.to_tensor(picture)).mean(0, keepdim=True)
        return ((F.resize(ink, [side, side]) - MEAN) / STD).repeat(self.recipe.channels, 1, 1)

    def fingerprint(self) -> str:
        """Which data these are: a hash of the sources and of what defines the composites, the same for every seed."""
        images, classes = load_sources()
        defining = (self.recipe, self.passes, self.val_size, self.test_size, FIXED_SEED, SPLIT_SEED)
        return sha256(repr(defining).encode() + images.tobytes() + classes.tobytes()).hexdigest()

    def check_data(self) -> None:
        """Check that an epoch holds a batch, before anything is trained.

        Raises:
            ValueError: It does not.
        """
        check_batch(self.batch_size, self.passes * len(split_sources("train")))

    def train_dataloader(self) -> EpochLoader:
        """Full batches of fresh composites, in an order drawn from (seed, epoch)."""
        dataset = TrainingComposites(self.recipe, self.passes, self.seed)
        return train_loader(dataset, EpochSampler(len(dataset), self.seed), self.batch_size, self.workers)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The fixed validation set."""
        # The composites lie in memory: a worker would only copy them.
        composites = fixed_composites(self.recipe, "validation", self.val_size)
        return eval_loader(TensorDataset(*composites), self.batch_size, workers=0)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The fixed test set."""
        composites = fixed_composites(self.recipe, "test", self.test_size)
        return eval_loader(TensorDataset(*composites), self.batch_size, workers=0)

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test set."""
        return self.test_dataloader()
