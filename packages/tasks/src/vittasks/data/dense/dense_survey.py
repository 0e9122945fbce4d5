"""A survey of a whole dense data set: its layout, the contents of each split, and all faults."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vittasks.data.damaged import in_threads
from vittasks.data.dense.ade20k import ADE20KLabels
from vittasks.data.dense.cityscapes import CityscapesLabels
from vittasks.data.dense.coco import CocoObjects
from vittasks.data.dense.dense_data import DenseData
from vittasks.data.dense.detection_folder import DetectionFolder
from vittasks.data.dense.faults import Faults
from vittasks.data.dense.layouts import KINDS, Kind, LabelLayout, Layout, ObjectLayout
from vittasks.data.dense.pascal import PascalLabels, PascalObjects
from vittasks.data.dense.segmentation_folder import SegmentationFolder

IGNORED = 255


@dataclass(frozen=True)
class DenseSplit:
    """What is in one split.

    Args:
        images: Number of images that can be used.
        classes: Class -> number of its pixels or objects.
        sizes: Smallest, median and largest width and height, by area.
        faults: Kind of a fault -> how many entries have it.
    """

    images: int
    classes: dict[str, int]
    sizes: list[tuple[int, int]]
    faults: dict[str, int]


@dataclass(frozen=True)
class DenseSurvey:
    """The result for one layout: facts about each split, and every problem as a sentence.

    Args:
        root: The folder.
        layout: The name of the layout.
        counted: What ``DenseSplit.classes`` counts: pixels or objects.
    """

    root: str
    layout: str
    counted: str
    splits: dict[str, DenseSplit]
    problems: list[str]


def layouts_of(root: Path, images: Path | None = None) -> list[Layout]:
    """Return the dense layouts of a folder; none if it holds class folders or something else.

    Args:
        root: The folder, or a COCO JSON file.
        images: The folder of a JSON file's images; None means the folder of the file.
    """
    if root.is_file():
        return [CocoObjects((root.name,) * 3, (str((images or root.parent).absolute()),) * 3)]
    found: list[Layout | None] = [_coco(root)]
    if (root / "images").is_dir() and (root / "annotations").is_dir():
        splits = sorted(
            path.name for path in (root / "images").iterdir() if (root / "annotations" / path.name).is_dir()
        )
        found.append(ADE20KLabels(splits=_three(splits)) if splits else None)
    if (root / "leftImg8bit").is_dir() and (root / "gtFine").is_dir():
        found.append(CityscapesLabels())
    if (root / "JPEGImages").is_dir():
        found.append(PascalLabels() if (root / "ImageSets/Segmentation").is_dir() else None)
        found.append(PascalObjects() if (root / "ImageSets/Main").is_dir() else None)
    return [layout for layout in found if layout is not None]


def _three(names: Sequence[str]) -> tuple[str, str, str]:
    """Return the names of training, validation and test; a missing one is replaced by another."""
    train = next((name for name in names if name.startswith("train")), names[0])
    val = next((name for name in names if name.startswith("val")), train)
    return train, val, next((name for name in names if name.startswith("test")), val)


def _coco(root: Path) -> CocoObjects | None:
    """Return the layout of a folder with the files ``instances_SPLIT.json`` and the images in ``SPLIT`` or ``images/SPLIT``."""
    files = [*root.glob("annotations/instances_*.json"), *root.glob("instances_*.json")]
    names = {path.stem.removeprefix("instances_"): str(path.relative_to(root)) for path in sorted(files)}
    if not names:
        return None
    train, val, test = _three(list(names))
    folders = {name: f"images/{name}" if (root / "images" / name).is_dir() else name for name in names}
    return CocoObjects((names[train], names[val], names[test]), (folders[train], folders[val], folders[test]))


def dense_survey(root: Path, layout: Layout, channels: int = 3) -> DenseSurvey:
    """Read every image and every label of all splits, with a thread for each core.

    Args:
        root: Folder of the data.
        layout: Where the files lie.
        channels: Channels that images are decoded to.
    """
    data: DenseData
    if isinstance(layout, ObjectLayout):
        data, counted = DetectionFolder(str(root), layout, channels=channels), "objects"
    elif isinstance(layout, LabelLayout):
        data, counted = SegmentationFolder(str(root), layout, channels=channels), "pixels"
    splits: dict[str, DenseSplit] = {}
    problems: list[str] = []
    for kind in KINDS:
        split, faults = layout.splits[KINDS.index(kind)], Faults(type(layout).__name__, root, "skip")
        if split in splits:
            continue
        try:
            splits[split] = _look_at(data, kind, faults)
        except ValueError as error:
            problems.append(str(error).rstrip("."))
        problems += [f"{one}: {entry}" for one, entries in faults.found.items() for entry in entries]
    return DenseSurvey(str(root), type(layout).__name__, counted, splits, list(dict.fromkeys(problems)))


def _look_at(data: DenseData, kind: Kind, faults: Faults) -> DenseSplit:
    entries, classes, sizes = data.read(kind, faults), Counter[int](), list[tuple[int, int]]()

    def look(number: str) -> tuple[tuple[int, int], Counter[int]] | str:
        try:
            image, labels = entries.read(int(number))
        except ValueError as error:
            return str(error)
        counted = labels["labels"] if isinstance(labels, dict) else labels[labels != IGNORED]
        return (image.shape[2], image.shape[1]), Counter(dict(enumerate(counted.flatten().bincount().tolist())))

    for one in in_threads(look, [str(number) for number in range(len(entries))]):
        if isinstance(one, str):
            fault, _, entry = one.partition(": ")
            faults.add(fault, entry)
        else:
            sizes.append(one[0])
            classes.update(one[1])
    sizes.sort(key=lambda size: (size[0] * size[1], size))
    names = data.class_names or tuple(map(str, range(max(classes, default=0) + 1)))
    return DenseSplit(
        len(sizes),
        {names[number]: count for number, count in sorted(classes.items()) if count},
        [sizes[0], sizes[len(sizes) // 2], sizes[-1]] if sizes else [],
        {fault: len(entries) for fault, entries in faults.found.items()},
    )
