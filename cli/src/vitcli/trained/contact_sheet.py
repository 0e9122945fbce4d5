"""A contact sheet: many images in one picture, each with a line of text below."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont, ImageOps

from vitcli.trained.images import read_image

MOST_IMAGES, COLUMNS = 64, 8
CELL, MARGIN, LINE = 160, 6, 22
"""Width of a cell, space around an image, and height of the text below it, in pixels."""


def write_contact_sheet(captions: Mapping[Path, str], path: Path) -> None:
    """Draw images in rows of eight and write the picture.

    Args:
        captions: Image -> the text below it; at most 64.
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
        small = ImageOps.contain(read_image(image), (side, side))
        sheet.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))
        text = shortened(caption, side, font)
        draw.text((left + CELL // 2, top + CELL), text, "black", font, anchor="mt")
    sheet.save(path)


def shortened(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """Return a caption that is no wider than ``width`` pixels: what is before its last word is cut, the last word stays."""
    start, _, end = text.rpartition(" ")
    while start and font.getlength(text) > width:
        start = start[:-1]
        text = f"{start}… {end}"
    return text
