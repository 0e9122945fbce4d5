"""The faults of a data set on disk: each kind is named and counted, and the faulty entries are refused or left out."""

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from vittasks.data.damaged import cached, in_threads
from vittasks.data.read_image import quick_reason_of_damage

OnFault = Literal["refuse", "skip"]
Check = Literal["all", "heads", "names"]
"""What is checked before a training: all pixels of all files, the beginning and the end of each image, or only names."""

UNREADABLE = "a file that cannot be read as an image"


class Faults:
    """Collects the faults in the entries of a data set.

    Args:
        owner: Who reads the data, for messages.
        place: The folder or file.
        on_fault: ``refuse`` the data, or ``skip`` the faulty entries.
    """

    def __init__(self, owner: str, place: object, on_fault: OnFault) -> None:
        self.owner, self.place, self.on_fault = owner, place, on_fault
        self.found: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, entry: object) -> None:
        """Note a faulty entry of the data."""
        self.found[kind].append(str(entry))

    @property
    def count(self) -> int:
        """How many faults there are."""
        return sum(len(entries) for entries in self.found.values())

    def counts(self) -> str:
        """Return the number of faults of each kind in words, empty without a fault."""
        return ", ".join(f"{len(entries)} x {kind}" for kind, entries in self.found.items())

    def refuse_or_report(self) -> None:
        """Refuse the data if there is a fault, or say on stderr what is left out.

        Raises:
            ValueError: There is a fault, and faults are refused.
        """
        if not self.found:
            return
        kinds = "; ".join(f"{len(entries)} x {kind} (such as {entries[0]})" for kind, entries in self.found.items())
        if self.on_fault == "refuse":
            raise ValueError(
                f"{self.owner}: {self.place} has faults: {kinds}; mend them, or leave them out with data.on_fault=skip."
            )
        rank_zero_only(print)(f"{self.owner}: {self.place}: left out: {kinds}.", file=sys.stderr)


def readable_entries(count: int, look: Callable[[int], Any], faults: Faults, question: str) -> list[int]:
    """Return the indices of the entries that can be read, and note the faults of the others.

    Args:
        count: How many entries there are.
        look: Reads an entry; it raises a ValueError with the text "kind: entry" if the entry has a fault.
        faults: Collects the faults.
        question: Everything that the result depends on; the result is cached.
    """

    def fault(number: str) -> str:
        try:
            look(int(number))
        except ValueError as error:
            return str(error)
        return ""

    def find() -> dict[str, str]:
        rank_zero_info(f"{faults.owner}: {count} entries of {faults.place} are read once, to find faults.")
        numbers = [str(number) for number in range(count)]
        return {number: text for number, text in zip(numbers, in_threads(fault, numbers), strict=True) if text}

    found = cached(question, find)
    for text in found.values():
        kind, _, entry = text.partition(": ")
        faults.add(kind, entry)
    return [number for number in range(count) if str(number) not in found]


def check_head(path: Path, channels: int) -> None:
    """Check the beginning and the end of an image file.

    Raises:
        ValueError: The file is empty, truncated or not an image.
    """
    if reason := quick_reason_of_damage(str(path), channels):
        raise ValueError(f"{UNREADABLE}: {path} ({reason})")


def refused_in_training(owner: str, error: ValueError) -> ValueError:
    """Return the error about an entry whose fault was found only when the training read it."""
    return ValueError(
        f"{owner}: {error}; data.check=all with data.on_fault=skip finds such entries and leaves them out."
    )


def listed_once(entries: Sequence[str], kind: str, faults: Faults) -> list[str]:
    """Return the entries without repetitions, and note each repetition as a fault."""
    seen: dict[str, None] = {}
    for entry in entries:
        if entry in seen:
            faults.add(kind, entry)
        seen[entry] = None
    return list(seen)
