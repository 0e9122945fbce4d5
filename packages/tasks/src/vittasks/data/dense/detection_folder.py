"""Detection data on disk: an image with its objects, boxes and masks."""

from typing import Literal

import torch
from torchvision.transforms import v2

from vittasks.data.dense.aspect_batches import AspectSampler, as_lists
from vittasks.data.dense.coco import CocoObjects
from vittasks.data.dense.dense_data import DenseData
from vittasks.data.dense.faults import Check, Faults, OnFault
from vittasks.data.dense.layouts import Kind, ObjectLayout
from vittasks.data.dense.paired_transforms import PhotometricDistortion, RandomPart
from vittasks.data.dense.pictures import Pictures


class DetectionFolder(DenseData):
    """Images with their objects, boxes and masks, in the layout of COCO or PASCAL VOC.

    Images keep their size: detectors resize and normalise. A training batch holds only wide or only tall images. Crowds are left
    out in training.

    Args:
        root: Folder of the data; ``~`` is the home folder.
        layout: Where images and objects lie: ``vittasks.CocoObjects`` or ``vittasks.PascalObjects``.
        num_classes: Number of classes; None means that of the layout: 80 for COCO, 20 for PASCAL VOC.
        channels: 1 for grey images, 3 for colour.
        image_side: Rows and columns of the image for which multiply-adds are counted.
        flip: Probability that a training image is mirrored.
        parts: Probability that a training image is resized to a shorter side of 400, 500 or 600 pixels and a rectangle of 384 to
            600 pixels a side is cropped from it, as in the recipes of Swin and DETR.
        distortion: Probability of each photometric distortion of a colour image in training.
        without_objects: ``keep`` training images without an object, or ``drop`` them, as in the papers' recipes.
        smallest_side: Training images with a side shorter than this are left out; 32 in the papers' recipes.
        on_fault: ``refuse`` data with faults, or ``skip`` the faulty entries.
        check: What is checked before a training: ``all`` images and masks, which is done once and remembered; the ``heads`` and
            ends of the images; or the ``names`` alone.
        batch_size: Images in a training batch.
        eval_batch_size: Images in a batch of the evaluation.
        workers: Processes that read and augment.
        seed: Seed of the training's order and augmentation.

    Attributes:
        image_shape: (channels, image_side, image_side).
        skipped: Split -> the number of faults of each kind that are left out, in words.

    Shapes:
        batches are a list of images (channels, H, W) from 0 to 1, and a list of targets: boxes (n, 4) in pixels, left, top,
        right, bottom; labels (n,) from 0; iscrowd (n,), area (n,); with masks also masks (n, H, W).

    Raises:
        ValueError: In ``check_data`` and ``setup``, a file is missing or there is a fault.

    Source: mmdetection's recipes for COCO.
    """

    collate = staticmethod(as_lists)

    def __init__(
        self,
        root: str,
        layout: ObjectLayout = CocoObjects(),  # noqa: B008 (never changed)
        num_classes: int | None = None,
        channels: int = 3,
        image_side: int = 800,
        flip: float = 0.5,
        parts: float = 0.0,
        distortion: float = 0.0,
        without_objects: Literal["keep", "drop"] = "keep",
        smallest_side: int = 0,
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
        self.objects, self.image_shape = layout, (channels, image_side, image_side)
        self.without_objects, self.smallest_side = without_objects, smallest_side
        self.eval_transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
        cropped = [v2.RandomApply([RandomPart()], parts)] if parts else []
        distorted = [PhotometricDistortion(distortion)] if distortion and channels == 3 else []
        self.train_transform = v2.Compose([*cropped, v2.RandomHorizontalFlip(flip), *distorted])

    def read(self, kind: Kind, faults: Faults) -> Pictures:
        """Return the images of a split with their objects."""
        file, training = self.objects.read(self.root, kind, faults), kind == "train"
        self.names = file.names
        images = file.images
        if training:
            dropped = self.without_objects == "drop"
            images = [
                one for one in images
                if (one.objects or not dropped) and min(one.height, one.width) >= self.smallest_side
            ]  # fmt: skip
        return Pictures(
            images,
            file.masks,
            self.in_chans,
            self.train_transform if training else None,
            "left out" if training else "kept",
            self.seed,
            type(self).__name__,
        )

    def sampler(self, data: Pictures) -> AspectSampler:
        """Return the order of a training, in which a batch holds only wide or only tall images."""
        return AspectSampler([int(one.width > one.height) for one in data.images], self.batch_size, self.seed)
