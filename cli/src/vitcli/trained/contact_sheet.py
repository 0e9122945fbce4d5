"""A contact sheet: many images in one picture, each with a line of text below."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torchvision.transforms.functional import to_pil_image

from vittasks.data.read_image import read_image

MOST_IMAGES, COLUMNS = 64, 8
CELL, MARGIN, LINE = 160, 6, 22
"""Width of a cell, space around an image, and height of the text below it, in pixels."""


def write_contact_sheet(captions: Mapping[Path, str], channels: int, path: Path) -> None:
    """Draw images in rows of eight and write the picture.

    Args:
        captions: Image -> the text below it; at most 64.
        channels: Channels of the images as the model reads them.
        path: The PNG file.
    """
    columns = min(COLUMNS, len(captions))
    rows = -(-len(captions) // columns)
    sheet = Image.new("RGB", (columns * CELL, rows * (CELL + LINE)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 12)
    side = CELL - 2 * MARGIN
    for number, (image, caption) in enumerate(captions.items()):
        left, top = number % columns * CELL, number // columns * (CELL + LINE)
        small = ImageOps.contain(_picture(image, channels), (side, side))
        sheet.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))
        text = shortened(caption, side, font)
        draw.text((left + CELL // 2, top + CELL), text, "black", font, anchor="mt")
    sheet.save(path)


def _picture(path: Path, channels: int) -> Image.Image:
    """Return an image in colours that can be shown: of other than three channels, the first one in gray."""
    found = read_image(str(path), channels)
    if isinstance(found, Image.Image):
        return found.convert("RGB")
    return to_pil_image(found[: 3 if channels == 3 else 1].clamp(0, 1)).convert("RGB")


def shortened(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """Return a caption that is no wider than ``width`` pixels: what is before its last word is cut, the last word stays."""
    start, _, end = text.rpartition(" ")
    while start and font.getlength(text) > width:
        start = start[:-1]
        text = f"{start}… {end}"
    return text
