"""Images per second and core, decoded and augmented: each reader of folders and shards against timm's loader, in one run.

    python benchmarks/data.py                    96 JPEGs of ImageNet's sizes, 7 rounds, about two minutes on one core
    python benchmarks/data.py --out benchmarks/results/2026-01-31-laptop-data.md

The readers run in turns, each with one process that reads and augments, of which a training has several. A time is the processor
time of this process, its start included, so that other work on the machine has little influence. A ratio is the median of the
rounds' ratios, ours / timm's, so that above 1 ours is slower. The augmentation is DeiT's: a random part resized to 224 pixels by
bicubic interpolation, RandAugment, erasing. With Pillow 13 timm's own raises an error for one image in 700; both use the same
repaired operation.
"""

import argparse
import gc
import io
import resource
import statistics
import tarfile
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import timm.data
import torch
from PIL import Image

from vitcli.training.provenance import packages, processor
from vittasks import ImageFolder, TarShards
from vittasks.data.read_image import read_image
from vittasks.data.transforms import mend_posterize

CLASSES = 4
SIZES = ((500, 375), (500, 333), (375, 500), (500, 400), (400, 300), (640, 480), (333, 500), (250, 250))
"""Width and height in pixels. Half of ImageNet's training images are 500 x 375; their mean is 400 x 350 and 110 KB."""

RECIPE = {"img_size": 224, "auto_augment": "rand-m9-mstd0.5-inc1", "re_prob": 0.25}
BATCH = 16

Epoch = Callable[[], int]
"""Reads every image once and returns their number."""


def write_images(root: Path, count: int) -> None:
    """Write smooth noise, which compresses about as photographs do, as train/CLASS/*.JPEG and val/CLASS/*.JPEG."""
    stream = np.random.default_rng(0)
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        small = stream.integers(256, size=(height // 4, width // 4, 3), dtype=np.uint8)
        smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        grain = stream.normal(0, 6, size=(height, width, 3))
        pixels = (np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)
        for split in ("train", "val") if number < CLASSES else ("train",):
            folder = root / split / f"class{number % CLASSES}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.JPEG", quality=90)


def write_shards(root: Path, shards: Path) -> None:
    """Pack the folder into one shard a split."""
    for split in ("train", "val"):
        (shards / split).mkdir(parents=True)
        with tarfile.open(shards / split / "000000.tar", "w") as shard:
            for path in sorted((root / split).glob("*/*.JPEG")):
                shard.add(path, f"{path.stem}.jpeg")
                head = tarfile.TarInfo(f"{path.stem}.cls")
                head.size = 1
                shard.addfile(head, io.BytesIO(path.parent.name[-1].encode()))


def epochs_of(root: Path, shards: Path) -> dict[str, Epoch]:
    """The readers, by name."""
    files = [str(path) for path in sorted((root / "train").glob("*/*.JPEG"))]
    folder = ImageFolder(str(root), batch_size=BATCH, workers=1, **RECIPE)
    packed = TarShards(str(shards), batch_size=BATCH, workers=1, **RECIPE)
    for data in (folder, packed):
        data.setup("fit")
    theirs = timm.data.create_loader(
        timm.data.create_dataset("", str(root / "train")),
        input_size=(3, RECIPE["img_size"], RECIPE["img_size"]),
        batch_size=BATCH,
        is_training=True,
        auto_augment=RECIPE["auto_augment"],
        re_prob=RECIPE["re_prob"],
        re_mode="pixel",
        interpolation="bicubic",
        use_prefetcher=False,
        num_workers=1,
        persistent_workers=False,
        pin_memory=False,
    )
    mend_posterize(theirs.dataset.transform)

    def decode() -> int:
        return sum(read_image(path, 3) is not None for path in files)

    return {
        "timm's loader": lambda: count(theirs),
        "ImageFolder": lambda: count(folder.train_dataloader()),
        "TarShards": lambda: count(packed.train_dataloader()),
        "decoding alone": decode,
    }


def count(loader: object) -> int:
    """Read all batches and return the number of images."""
    return sum(len(images) for images, _ in loader)  # type: ignore[attr-defined]


def seconds_per_image(epoch: Epoch) -> float:
    """Processor time in the loader's process, or in this one for decoding alone, which has none."""
    who = resource.RUSAGE_CHILDREN if epoch.__name__ != "decode" else resource.RUSAGE_SELF
    before = resource.getrusage(who)
    images = epoch()
    if who == resource.RUSAGE_CHILDREN:
        gc.collect()  # ends the processes of a loader that is no longer referenced
    after = resource.getrusage(who)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=96, help="number of JPEGs; a multiple of 16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        root, shards = Path(place) / "folder", Path(place) / "shards"
        write_images(root, words.images)
        write_shards(root, shards)
        size = statistics.mean(path.stat().st_size for path in root.glob("train/*/*")) / 1000
        epochs = epochs_of(root, shards)
        rounds = [{name: seconds_per_image(epoch) for name, epoch in epochs.items()} for _ in range(words.rounds + 1)]
        del rounds[0]
    lines = [
        f"# Images per second and core, {date.today()}",
        "",
        f"{processor()}, one process; {words.images} JPEGs of {size:.0f} KB on average, "
        + f"{words.rounds} rounds after one to warm up; "
        + ", ".join(f"{name} {version}" for name, version in packages().items() if name in ("torch", "timm"))
        + f". `python benchmarks/data.py --images {words.images} --rounds {words.rounds}`",
        "",
        "| reader | images/s and core | time, ours / timm (smallest, largest round) | cores for 1,000 images/s |",
        "|---|---:|---:|---:|",
    ]
    for name in epochs:
        seconds = statistics.median(one[name] for one in rounds)
        ratios = sorted(one[name] / one["timm's loader"] for one in rounds)
        shown = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"
        lines.append(f"| {name} | {1 / seconds:.0f} | {shown} | {1000 * seconds:.1f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if words.out:
        words.out.write_text(text)


if __name__ == "__main__":
    main()
