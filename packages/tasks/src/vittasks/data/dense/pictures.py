"""Images with their objects as tensors; each is transformed with its own random stream."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from vittasks.data.dense.coco import object_mask
from vittasks.data.dense.faults import check_head, refused_in_training
from vittasks.data.dense.layouts import Masks, PictureOfObjects
from vittasks.data.dense.read_pixels import read_picture
from vittasks.data.sampling import epoch_and_index, global_generators

Target = dict[str, Tensor]


class Pictures(Dataset[tuple[Tensor, Target]]):
    """Images with their objects; item (epoch, index) is transformed with its own random stream.

    Args:
        images: The images with their objects.
        masks: ``read`` the masks into the targets, or leave them ``ignored``.
        channels: 1 for grey images, 3 for colour.
        transform: Changes image and objects together.
        crowds: Crowds are left out in training and ``kept`` in evaluation, where detections in them are ignored.
        seed: Seed of what the transform draws, with the epoch and the index.
        owner: Who reads the data, for messages.

    Shapes:
        image (channels, H, W) from 0 to 1; boxes (n, 4) left, top, right, bottom; labels (n,); masks (n, H, W); iscrowd,
        area (n,)
    """

    def __init__(
        self,
        images: Sequence[PictureOfObjects],
        masks: Masks,
        channels: int,
        transform: Callable[..., Any] | None,
        crowds: Literal["kept", "left out"],
        seed: int,
        owner: str,
    ) -> None:
        self.images, self.masks, self.channels, self.transform = list(images), masks, channels, transform
        self.crowds, self.seed, self.owner = crowds, seed, owner

    @property
    def paths(self) -> list[Path]:
        """The files of the images."""
        return [one.path for one in self.images]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, Target]:
        epoch, index = epoch_and_index(item)
        try:
            image, target = self.read(index)
        except ValueError as error:
            raise refused_in_training(self.owner, error) from None
        if self.transform is not None:
            with global_generators(self.seed, epoch, index):
                image, target = self.transform(image, target)
        return image.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in target.items()}

    def read(self, index: int) -> tuple[Tensor, Target]:
        """Return an image and its objects as they are in the files.

        Raises:
            ValueError: The image cannot be read, its size differs from its entry, or a mask does not fit it.
        """
        entry = self.images[index]
        image, size = read_picture(entry.path, self.channels), (entry.height, entry.width)
        if tuple(image.shape[1:]) != size:
            kind = "an image whose size differs from its entry"
            raise ValueError(f"{kind}: {entry.path} is {tuple(image.shape[1:])}, not {size}")
        objects = [one for one in entry.objects if self.crowds == "kept" or not one.crowd]
        limits = torch.tensor([entry.width, entry.height, entry.width, entry.height])
        boxes = torch.tensor([one.box for one in objects], dtype=torch.float32).reshape(-1, 4)
        kept: Any = boxes.clamp(min=0).minimum(limits)
        target = {
            "boxes": tv_tensors.BoundingBoxes(kept, format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=size),
            "labels": torch.tensor([one.label for one in objects], dtype=torch.long),
            "iscrowd": torch.tensor([one.crowd for one in objects], dtype=torch.long),
            "area": torch.tensor([one.area for one in objects], dtype=torch.float32),
        }
        if self.masks == "read":
            masks = [torch.from_numpy(object_mask(one, entry)) for one in objects]
            target["masks"] = tv_tensors.Mask(torch.stack(masks) if masks else torch.zeros(0, *size, dtype=torch.bool))
        return tv_tensors.Image(image), target

    def keep(self, indices: list[int]) -> None:
        """Keep only these images."""
        self.images = [self.images[index] for index in indices]

    def check(self, index: int) -> None:
        """Check the beginning and the end of an image file, and its size.

        Raises:
            ValueError: The file is truncated or not an image.
        """
        check_head(self.images[index].path, self.channels)
