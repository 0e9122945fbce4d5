"""What is wrong with a data set on disk: every kind is named and counted, and refused or left out as the user chose."""

import sys
from collections import defaultdict
from typing import Literal

OnFault = Literal["refuse", "skip"]


class Faults:
    """Collects what is wrong with the entries of a data set.

    Args:
        owner: Who reads the data, for messages.
        place: The folder or file.
        on_fault: ``refuse`` the data, or ``skip`` what is wrong.
    """

    def __init__(self, owner: str, place: object, on_fault: OnFault) -> None:
        self.owner, self.place, self.on_fault = owner, place, on_fault
        self.found: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, entry: object) -> None:
        """Note an entry of the data in which something is wrong."""
        self.found[kind].append(str(entry))

    @property
    def count(self) -> int:
        """How many faults there are."""
        return sum(len(entries) for entries in self.found.values())

    def settle(self) -> None:
        """Refuse the data if there is a fault, or say on stderr what is left out.

        Raises:
            ValueError: There is a fault, and faults are refused.
        """
        if not self.found:
            return
        kinds = "; ".join(f"{len(entries)} x {kind} (such as {entries[0]})" for kind, entries in self.found.items())
        if self.on_fault == "refuse":
            raise ValueError(
                f"{self.owner}: {self.place} has faults: {kinds}. Mend them, or leave them out with on_fault=skip."
            )
        print(f"{self.owner}: {self.place}: left out: {kinds}.", file=sys.stderr)
