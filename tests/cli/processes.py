"""The command in processes of its own, marked so that a test finds every process that it leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path


def _listen_again() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Running:
    """``vitcli`` started as a shell does: a process that leads a group.

    Args:
        words: The command line.
        folder: The working directory; Python finds its modules.
        prepare: Called in the new process before the command.
    """

    def __init__(self, *words: str, folder: Path, prepare: Callable[[], object] = lambda: None) -> None:
        self.mark = f"VITCLI_TEST_RUN={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        vitcli = str(Path(sys.executable).with_name("vitcli"))
        found = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [vitcli, *words],
            cwd=folder,
            env={**os.environ, name: value, "COLUMNS": "200", "PYTHONPATH": found},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell that starts tests in the background has them ignore Ctrl-C, and nohup SIGHUP, and what they start as well.
            preexec_fn=lambda: (_listen_again(), prepare()),
        )

    def wait_for(self, happened: Callable[[], object], seconds: float = 300) -> None:
        """Wait until something has happened; fail if the command ends before."""
        until = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Interrupt the whole group, as Ctrl-C in a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill the runner, as ``kill -9`` does; its trials end by themselves."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, output and errors."""
        out, errors = self.process.communicate(timeout=300)
        return self.process.returncode, out, errors

    def left(self) -> list[int]:
        """Return the marked processes that still run (zombies do not count)."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                marked = self.mark.encode() in (folder / "environ").read_bytes().split(b"\0")
                if marked and (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(folder.name))
        return found

    def stop(self) -> None:
        """Kill whatever is left."""
        for process in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
