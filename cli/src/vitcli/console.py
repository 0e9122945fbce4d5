"""The output of a command: text from outside is never read as markup, and a run continues if the output is closed."""

import os
import sys

from rich.console import Console
from rich.status import Status
from rich.text import Text


class Output(Console):
    """A console that prints every text as it is: names, paths and error messages may contain ``[brackets]`` and ``:colons:``."""

    def __init__(self) -> None:
        super().__init__(markup=False, emoji=False, highlight=False)

    def status(self, status: object, **given: object) -> Status:
        """Return a line about what is being done, which disappears when it is done."""
        return super().status(Text(str(status)), **given)  # type: ignore[arg-type]

    def on_broken_pipe(self) -> None:
        """Continue without output, where rich would end the process: its reader has ended, as in ``vitcli fit ... | head -1``."""
        self.quiet = True
        discard_output()
        print("vitcli: the output was closed; the command goes on without it.", file=sys.stderr)


def discard_output() -> None:
    """Discard everything that is still printed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
