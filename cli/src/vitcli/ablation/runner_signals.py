"""A scheduler that asks the runner to end: the trials of this machine save and end, and the runner with them."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from vitcli.ablation.launch.launcher import Launcher
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.worker import ASKING


class AskedToEnd(KeyboardInterrupt):
    """SIGTERM or SIGUSR1 has arrived.

    Args:
        number: Number of the signal.
        launcher: Whose trials are to end too.
    """

    def __init__(self, number: int, launcher: LocalLauncher) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code, self.launcher = 128 + number, launcher


@contextlib.contextmanager
def listening(launcher: Launcher) -> Iterator[None]:
    """Raise ``AskedToEnd`` at the first SIGTERM or SIGUSR1, and ignore those that follow.

    Trials elsewhere live on without the runner, and the next one adopts them: there the signals end the runner as always.
    """
    if not isinstance(launcher, LocalLauncher):
        yield
        return

    def ask(number: int, frame: FrameType | None) -> NoReturn:
        for other in ASKING:
            signal.signal(other, signal.SIG_IGN)
        raise AskedToEnd(number, launcher)

    handlers = {number: signal.signal(number, ask) for number in ASKING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
