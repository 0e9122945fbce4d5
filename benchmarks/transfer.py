"""The road of docs/transfer.md, really walked: from a checkpoint under public names to a trained model and out again.

    python benchmarks/transfer.py                    every block of the page in order: 2 minutes of processor time
    python benchmarks/transfer.py --material road    only write what the page starts from into the directory road

Nothing is downloaded. The checkpoint has the names and shapes of LocalViT's public one; its values come from a golden record
and teach nothing: this shows that the road is open, not how well it trains. The images are three kinds of shapes.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "transfer.md"
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


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a page, (language, text), in order."""
    yield from re.findall(r"^```(yaml|sh|python)\n(.+?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def walk(clone: Path) -> None:
    """Follow the page in a directory beside the benchmarks: write its YAML files, run its commands and its Python.

    Raises:
        CalledProcessError: A command or a snippet failed.
    """
    folder = clone / "road"
    folder.mkdir()
    (clone / "benchmarks").symlink_to(Path(__file__).resolve().parent)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for language, text in blocks(PAGE):
        started = time.perf_counter()
        if language == "yaml":
            (folder / re.match(r"# (\S+\.yaml)", text).group(1)).write_text(text)
            continue
        print(text.rstrip(), flush=True)
        command = ["python", "-c", text] if language == "python" else ["bash", "-euc", text]
        subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)
        print(f"-- {time.perf_counter() - started:.0f} s\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--material", type=Path, metavar="DIR", help="only write the checkpoint and the images")
    material = parser.parse_args().material
    if material is not None:
        write_material(material)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        walk(Path(folder))


if __name__ == "__main__":
    main()
