"""Image files that are named on the command line, found as the data modules find them in folders."""

from collections.abc import Sequence
from pathlib import Path

from vitcli.config.command_line import COMMAND_LINE
from vitcli.config.errors import ConfigError
from vittasks.data.class_folders import image_files
from vittasks.data.read_image import extensions


def find_images(names: Sequence[str], channels: int) -> list[Path]:
    """Return the files that are named, and those with an image's ending in folders and below, sorted, each once.

    Args:
        names: Files and folders.
        channels: Channels of the images.

    Raises:
        ConfigError: A name leads nowhere, or a folder holds no image.
    """
    found: dict[Path, None] = {}
    for name in names:
        place = Path(name)
        if not place.exists():
            raise ConfigError(f"{COMMAND_LINE}: there is no image or folder {name!r}.")
        files = [Path(path) for path in image_files(place, extensions(channels))] if place.is_dir() else [place]
        if not files:
            raise ConfigError(
                f"{COMMAND_LINE}: the folder {name!r} holds no image ({', '.join(extensions(channels))})."
            )
        found |= dict.fromkeys(files)
    return list(found)
