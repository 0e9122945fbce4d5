"""The material for docs/transfer.md: a checkpoint with public names, and images.

    python benchmarks/transfer.py --material DIR

Nothing is downloaded. The checkpoint has the names and shapes of LocalViT's public one; its values come from a golden record
and are not trained: the page shows how fine-tuning works, not how well. The images are three kinds of shapes.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
RECORD = GOLDEN / "models" / "localvit" / "localvit_tiny_mlp4_act3_r192.json"
SHAPES = ("disc", "square", "triangle")
IMAGES = {"train": 24, "val": 8, "test": 8}
SIDE = 80


def write_material(folder: Path) -> None:
    """Write localvit_tiny.pth and images/SPLIT/SHAPE/*.jpg."""
    spec = importlib.util.spec_from_file_location("goldenfill", GOLDEN / "goldenfill.py")
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": golden.make_state_dict(golden.load_record(RECORD))}, folder / "localvit_tiny.pth")
    draw = np.random.default_rng(0)
    for split, count in IMAGES.items():
        for shape in SHAPES:
            place = folder / "images" / split / shape
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                picture(shape, draw).save(place / f"{number:02}.jpg")


def picture(shape: str, draw: np.random.Generator) -> Image.Image:
    """A bright shape anywhere on a dark, noisy ground."""
    ground = draw.integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
    image = Image.fromarray(ground)
    pen, half = ImageDraw.Draw(image), int(draw.integers(12, 22))
    x, y = draw.integers(half, SIDE - half, 2).tolist()
    colour = tuple(draw.integers(150, 256, 3).tolist())
    box = (x - half, y - half, x + half, y + half)
    if shape == "disc":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=colour)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--material", type=Path, metavar="DIR", required=True, help="where the checkpoint and the images go"
    )
    write_material(parser.parse_args().material)


if __name__ == "__main__":
    main()
