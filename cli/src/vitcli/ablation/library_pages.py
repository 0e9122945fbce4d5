"""Letting go of the pages of libraries that importing has read: they stay in the system's cache for whoever reads them again."""

import ctypes
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

MAPS = Path("/proc/self/smaps")
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)")


def release_library_pages() -> None:
    """Unmap the pages of code and constants that this process has read from files; where the system has no such list, do nothing.

    Importing torch runs through the start-up code of CUDA's and Triton's libraries: 350 MB that the server of trials would be
    charged for to its end (measured with torch 2.15), although it never reads them again. A page that is read again comes back
    as it was.
    """
    if not MAPS.is_file():
        return
    release = ctypes.CDLL(None).madvise
    for start, end in _unchanged(MAPS.read_text(encoding="utf-8", errors="replace")):
        release(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _unchanged(listing: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of what is mapped from files, cannot be written and has no page that differs from its file."""
    found: tuple[int, int] | None = None
    for line in listing.splitlines():
        if head := MAPPING.match(line):
            first, last, rights, inode = head.groups()
            found = (int(first, 16), int(last, 16)) if inode != "0" and "w" not in rights else None
        elif line.startswith("Anonymous:") and line.split()[1] != "0":
            found = None
        elif line.startswith("Swap:"):  # after Anonymous; a changed page that was swapped out counts here alone
            if found and line.split()[1] == "0":
                yield found
            found = None
