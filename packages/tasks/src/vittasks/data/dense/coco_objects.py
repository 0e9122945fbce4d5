"""Objects from a COCO JSON file, without pycocotools: boxes, classes and masks of each image, and what is wrong with them."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from vittasks.data.dense.faults import Faults
from vittasks.data.dense.masks import decode
from vittasks.data.dense.paired_transforms import Transform
from vittasks.data.dense.segmentation_pairs import read_pixels
from vittasks.data.sampling import epoch_and_index, global_generators

SECTIONS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class PictureOfObjects:
    """An image's file with its size in pixels, its number in the JSON file, and the objects as the file has them."""

    path: Path
    number: int
    height: int
    width: int
    objects: list[dict[str, Any]]


@dataclass(frozen=True)
class CocoFile:
    """What a COCO JSON file holds: images with their objects, and the categories' names, in the order of their numbers.

    Category numbers become classes 0, 1, ... in that order.
    """

    images: list[PictureOfObjects]
    classes: dict[int, int]
    names: list[str]


def read_coco(path: Path, folder: Path, faults: Faults) -> CocoFile:
    """Read a COCO JSON file whose images lie in a folder.

    Raises:
        ValueError: It is no COCO file.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{faults.owner}: {path} cannot be read as JSON ({' '.join(str(error).split())}).") from error
    missing = [name for name in SECTIONS if not isinstance(content, dict) or not isinstance(content.get(name), list)]
    if missing:
        raise ValueError(f"{faults.owner}: {path} is no COCO file of objects: it has no list {', '.join(missing)}.")
    categories = sorted(content["categories"], key=lambda one: one["id"])
    classes = {one["id"]: number for number, one in enumerate(categories)}
    objects = defaultdict(list)
    for one in content["annotations"]:
        objects[one["image_id"]].append(one)
    times = Counter(entry["id"] for entry in content["images"])
    images = []
    for entry in content["images"]:
        if times[entry["id"]] > 1:
            faults.add("an image number that occurs twice", entry["id"])
        elif not (folder / entry["file_name"]).is_file():
            faults.add("an image that is not there", folder / entry["file_name"])
        else:
            sound = [one for one in objects[entry["id"]] if _is_sound(one, entry, classes, faults)]
            images.append(
                PictureOfObjects(folder / entry["file_name"], entry["id"], entry["height"], entry["width"], sound)
            )
    for number in sorted(set(objects) - set(times)):
        faults.add("objects of an image that is not listed", number)
    return CocoFile(images, classes, [str(one["name"]) for one in categories])


def _is_sound(one: dict[str, Any], image: dict[str, Any], classes: dict[int, int], faults: Faults) -> bool:
    name = f"annotation {one.get('id')} of {image['file_name']}"
    x, y, w, h = one["bbox"]
    if one["category_id"] not in classes:
        faults.add("an unknown category", name)
    elif w <= 0 or h <= 0:
        faults.add("a box of no area", name)
    elif x < -1 or y < -1 or x + w > image["width"] + 1 or y + h > image["height"] + 1:
        faults.add("a box outside its image", name)
    else:
        return True
    return False


class Pictures(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Images with their objects; item (epoch, index) is transformed by a stream of its own.

    Args:
        file: What the JSON file holds.
        channels: 1 for grey images, 3 for colour.
        transform: Changes image and objects together.
        crowds: Crowds are left out in training, and ``kept`` in evaluation, where what they hold counts neither way.
        seed: Of what the transform draws, with the epoch and the index.

    Shapes:
        image (channels, H, W) from 0 to 1; boxes (n, 4) left, top, right, bottom; labels (n,); masks (n, H, W); iscrowd,
        area (n,)
    """

    def __init__(self, file: CocoFile, channels: int, transform: Transform | None, crowds: str, seed: int) -> None:
        self.file, self.channels, self.transform = file, channels, transform
        self.crowds, self.seed = crowds, seed

    def __len__(self) -> int:
        return len(self.file.images)

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, dict[str, Tensor]]:
        epoch, index = epoch_and_index(item)
        image, target = self.read(index)
        if self.transform is not None:
            with global_generators(self.seed, epoch, index):
                image, target = self.transform(image, target)  # type: ignore[arg-type, assignment]
        return image.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in target.items()}

    def read(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return an image and its objects as they are in the files.

        Raises:
            ValueError: The image cannot be read, has another size than the JSON file says, or a mask does not fit it.
        """
        entry = self.file.images[index]
        pixels = read_pixels(entry.path, "L" if self.channels == 1 else "RGB")
        size = (entry.height, entry.width)
        if pixels.shape[:2] != size:
            kind = "an image of another size than its JSON file says"
            raise ValueError(f"{kind}: {entry.path} is {pixels.shape[:2]}, not {size}")
        objects = [one for one in entry.objects if self.crowds == "kept" or not one.get("iscrowd", 0)]
        boxes = torch.tensor([one["bbox"] for one in objects], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        limits = torch.tensor([entry.width, entry.height, entry.width, entry.height])
        masks = [torch.from_numpy(decode(one["segmentation"], *size)) for one in objects]
        image = torch.from_numpy(pixels).reshape(*size, self.channels).permute(2, 0, 1) / 255
        kept: Any = boxes.clamp(min=0).minimum(limits)
        return tv_tensors.Image(image), {
            "boxes": tv_tensors.BoundingBoxes(kept, format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=size),
            "labels": torch.tensor([self.file.classes[one["category_id"]] for one in objects], dtype=torch.long),
            "masks": tv_tensors.Mask(torch.stack(masks) if masks else torch.zeros(0, *size, dtype=torch.bool)),
            "iscrowd": torch.tensor([one.get("iscrowd", 0) for one in objects], dtype=torch.long),
            "area": torch.tensor([one.get("area", 0.0) for one in objects], dtype=torch.float32),
        }
