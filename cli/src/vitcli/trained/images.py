"""Image files that are named on the command line: found in folders, and read as the data modules read them."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from vitcli.config.command_line import COMMAND_LINE
from vitcli.config.errors import ConfigError


def find_images(names: Sequence[str]) -> list[Path]:
    """Return the files that are named, and those with an image's ending in folders and below, sorted, each once.

    Hidden files and folders, whose names begin with a dot, are passed over.

    Raises:
        ConfigError: A name leads nowhere, or a folder holds no image.
    """
    found: dict[Path, None] = {}
    for name in names:
        place = Path(name)
        if not place.exists():
            raise ConfigError(f"{COMMAND_LINE}: there is no image or folder {name!r}.")
        files = _below(place) if place.is_dir() else [place]
        if not files:
            raise ConfigError(f"{COMMAND_LINE}: the folder {name!r} holds no image ({', '.join(IMG_EXTENSIONS)}).")
        found |= dict.fromkeys(files)
    return list(found)


def _below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMG_EXTENSIONS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_image(path: Path) -> Image.Image:
    """Return an image in RGB.

    Raises:
        Exception: The file is damaged or is no image; decoders raise many kinds.
    """
    with Image.open(path) as image:
        return image.convert("RGB")
