"""Images with the label of every pixel as tensors; each pair is transformed with its own random stream."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from vittasks.data.dense.faults import check_head, refused_in_training
from vittasks.data.dense.layouts import LabelLayout, Pair
from vittasks.data.dense.paired_transforms import Transform
from vittasks.data.dense.read_pixels import read_picture
from vittasks.data.sampling import epoch_and_index, global_generators


class SegmentationPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of an image, float (channels, H, W) from 0 to 1, and a label, int64 (H, W), transformed.

    Args:
        pairs: Images with the sources of their labels.
        layout: Reads labels.
        channels: 1 for grey images, 3 for colour.
        num_classes: Number of classes.
        ignored: The label of pixels without a class.
        transform: Changes image and label together.
        seed: Seed of what the transform draws, with the epoch and the index.
        owner: Who reads the data, for messages.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        layout: LabelLayout,
        channels: int,
        num_classes: int,
        ignored: int,
        transform: Transform,
        seed: int,
        owner: str,
    ) -> None:
        self.pairs, self.layout, self.channels, self.num_classes = list(pairs), layout, channels, num_classes
        self.ignored, self.transform, self.seed, self.owner = ignored, transform, seed, owner

    @property
    def paths(self) -> list[Path]:
        """The files of the images."""
        return [path for path, _ in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, Tensor]:
        epoch, index = epoch_and_index(item)
        try:
            image, label = self.read(index)
        except ValueError as error:
            raise refused_in_training(self.owner, error) from None
        with global_generators(self.seed, epoch, index):
            image, label = self.transform(tv_tensors.Image(image), tv_tensors.Mask(label))
        return image.as_subclass(Tensor), label.as_subclass(Tensor)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Return image and label as they are in the files.

        Raises:
            ValueError: A file cannot be read, or image, label and classes do not fit each other.
        """
        path, source = self.pairs[index]
        image, label = read_picture(path, self.channels), self.layout.label(source, self.num_classes, self.ignored)
        if label.shape != image.shape[1:]:
            raise ValueError(
                f"labels of another size than the image: {path} is {tuple(image.shape[1:])}, its labels {tuple(label.shape)}"
            )
        return image, label

    def keep(self, indices: list[int]) -> None:
        """Keep only these pairs."""
        self.pairs = [self.pairs[index] for index in indices]

    def check(self, index: int) -> None:
        """Check the beginning and the end of an image file.

        Raises:
            ValueError: A file is truncated or not an image.
        """
        check_head(self.pairs[index][0], self.channels)
