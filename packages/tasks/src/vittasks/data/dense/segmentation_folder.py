"""Segmentation data on disk: an image, and the class of every pixel of it."""

import torch
from torchvision.transforms import v2

from vittasks.data.dense.ade20k import ADE20KLabels
from vittasks.data.dense.dense_data import DenseData
from vittasks.data.dense.faults import Check, Faults, OnFault
from vittasks.data.dense.layouts import Kind, LabelLayout
from vittasks.data.dense.paired_transforms import FittingCrop, PadTo, PhotometricDistortion, RandomSize, on_image
from vittasks.data.dense.segmentation_pairs import SegmentationPairs


class SegmentationFolder(DenseData):
    """Images and the class of each of their pixels, in the layout of ADE20K, Cityscapes, PASCAL VOC or COCO.

    Training: resized, cropped, mirrored and distorted at random, drawn from (seed, epoch, index); smaller images are padded
    below and to the right, the image with zeros after the normalisation, the label with ``ignored``. Evaluation: resized as
    in training without the random factor; the label keeps its original size, to which the network's output is resized.

    Args:
        root: Folder of the data; ``~`` is the home folder.
        layout: Where images and labels lie and what the labels' values mean: ``vittasks.ADE20KLabels``,
            ``vittasks.CityscapesLabels``, ``vittasks.PascalLabels`` or ``vittasks.CocoLabels``.
        num_classes: Number of classes; None means that of the layout, such as 150 for ADE20K.
        channels: 1 for grey images, 3 for colour.
        ignored: The label of pixels without a class.
        crop: Rows and columns of a training image.
        shortest: Size of an image's shorter side; 0 leaves images as they are.
        longest: Largest size of its longer side.
        factors: Range of the random factor on both sizes in training.
        largest_share: A training crop is drawn again while one class has more of its pixels.
        flip: Probability that a training image is mirrored.
        distortion: Probability of each photometric distortion of a colour image in training.
        mean: Mean of each channel, subtracted.
        std: Standard deviation of each channel, divided by.
        on_fault: ``refuse`` data with faults, or ``skip`` the faulty entries.
        check: What is checked before a training: ``all`` pixels of all files, which is done once and remembered; the ``heads``
            and ends of the images; or the ``names`` alone.
        batch_size: Images in a training batch.
        eval_batch_size: Images in a batch of the evaluation; 1 if their sizes differ.
        workers: Processes that read and augment.
        seed: Seed of the training's order and augmentation.

    Attributes:
        image_shape: (channels, crop, crop).
        skipped: Split -> the number of faults of each kind that are left out, in words.

    Shapes:
        batches are (b, channels, H, W) float32 and (b, H, W) int64.

    Raises:
        ValueError: In ``check_data`` and ``setup``, a folder is missing or there is a fault.

    Source: training and test images as in mmsegmentation's recipe for ADE20K.
    """

    def __init__(
        self,
        root: str,
        layout: LabelLayout = ADE20KLabels(),  # noqa: B008 (never changed)
        num_classes: int | None = None,
        channels: int = 3,
        ignored: int = 255,
        crop: int = 512,
        shortest: int = 512,
        longest: int = 2048,
        factors: tuple[float, float] = (0.5, 2.0),
        largest_share: float = 0.75,
        flip: float = 0.5,
        distortion: float = 0.5,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        on_fault: OnFault = "refuse",
        check: Check = "all",
        batch_size: int = 16,
        eval_batch_size: int = 1,
        workers: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__(
            root, layout, num_classes, channels, on_fault, check, batch_size, eval_batch_size, workers, seed
        )
        self.labels, self.ignored, self.image_shape = layout, ignored, (channels, crop, crop)
        normalise = v2.Normalize(list(mean), list(std))
        as_numbers = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        sized = [RandomSize(shortest, longest)] if shortest else []
        self.eval_transform = v2.Compose([*as_numbers, *sized, normalise])
        enlarged = [RandomSize(shortest, longest, (factors[0], factors[1]))] if shortest else []
        distorted = [PhotometricDistortion(distortion)] if distortion and channels == 3 else []
        self.train_transform = v2.Compose([
            *enlarged, FittingCrop(crop, largest_share, ignored), v2.RandomHorizontalFlip(flip), *distorted, normalise,
            PadTo(crop, ignored),
        ])  # fmt: skip

    def read(self, kind: Kind, faults: Faults) -> SegmentationPairs:
        """Return the images of a split with their labels."""
        files = self.labels.read(self.root, kind, faults)
        self.names = files.names
        return SegmentationPairs(
            files.pairs,
            self.labels,
            self.in_chans,
            self.num_classes,
            self.ignored,
            self.train_transform if kind == "train" else on_image(self.eval_transform),
            self.seed,
            type(self).__name__,
        )
