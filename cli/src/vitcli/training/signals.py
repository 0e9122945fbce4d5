"""SIGTERM and SIGUSR1, by which a scheduler announces that it takes the machine back."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from lightning.pytorch.utilities.exceptions import SIGTERMException

from vitcli.training.ranks import is_first_rank

LISTENED = (signal.SIGTERM, signal.SIGUSR1)
"""Signals after which a training saves and ends."""


class EndedBySignal(SystemExit):
    """A signal ended the training, with the exit code that shells give to a process that a signal ended: 128 + its number.

    Only the first of several processes ends with it. The others end with 0: Lightning kills the first process as soon as another
    one ends with any other code.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number if is_first_rank() else 0)


class Signals:
    """Records the first of the signals that arrives, so that the training can end between two steps.

    Attributes:
        received: Its number; 0 while none has arrived.
    """

    def __init__(self) -> None:
        self.received = 0

    def listen(self) -> None:
        """Handle the signals instead of Lightning, which would end with exit code 0 and save nothing.

        Its trainer restores the earlier handlers when it ends. Python only lets the main thread do this.
        """
        if threading.current_thread() is threading.main_thread():
            for number in LISTENED:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # Slurm sends a signal to the process and srun passes it on too: the second is the same one.
        self.received = self.received or number


@contextlib.contextmanager
def tell_scheduler() -> Iterator[None]:
    """Turn the end by SIGTERM that Lightning knows outside of trainings, which has exit code 0, into ``EndedBySignal``."""
    try:
        yield
    except SIGTERMException:
        raise EndedBySignal(signal.SIGTERM) from None
