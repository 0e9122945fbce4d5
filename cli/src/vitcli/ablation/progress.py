"""The live view of a running ablation: trials done, running and failed, and the time left."""

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text


class Progress:
    """Draws the state of all trials while they run, and prints one line for each trial that ends.

    If the output is not a terminal, only these lines are printed.

    Args:
        console: Where to draw.
        epochs: Arm -> number of epochs of its trials, in the order in which the arms are shown.
        seeds: Arm -> number of its seeds.
        workers: Number of trials that run at a time.
    """

    def __init__(self, console: Console, epochs: dict[str, int], seeds: dict[str, int], workers: int) -> None:
        self.console, self.epochs, self.workers = console, epochs, workers
        self.states = {arm: ["waiting"] * seeds[arm] for arm in epochs}
        self.running: dict[tuple[str, int], tuple[float, int]] = {}
        self.durations: list[float] = []
        self.live = Live(get_renderable=self.draw, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def skip(self, arm: str, seed: int, state: str) -> None:
        """Note a trial that does not run because it was ``done`` or ``failed`` earlier, or because its arm is ``dropped``."""
        self.running.pop((arm, seed), None)
        self.states[arm][seed] = state

    def say(self, text: str) -> None:
        """Print a line above the view."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def start(self, arm: str, seed: int) -> None:
        """Note a trial that starts."""
        self.states[arm][seed] = "running"
        self.running[arm, seed] = (time.monotonic(), 0)

    def advance(self, arm: str, seed: int, epoch: int) -> None:
        """Note that a trial has done ``epoch`` epochs."""
        self.running[arm, seed] = (self.running[arm, seed][0], epoch)

    def finish(self, arm: str, seed: int, state: str, text: str) -> None:
        """Note that a trial is ``done`` or ``failed``."""
        started, _ = self.running.pop((arm, seed))
        self.states[arm][seed] = state
        seconds = time.monotonic() - started
        if state == "done":
            self.durations.append(seconds)
        finished = sum(s in ("done", "failed") for states in self.states.values() for s in states)
        total = sum(s != "dropped" for states in self.states.values() for s in states)
        line = f"[{finished}/{total}] {arm} seed {seed}: {text} ({seconds:.0f} s)"
        self.console.print(Text(line, style="red" if state == "failed" else ""), highlight=False, soft_wrap=True)

    def seconds_left(self) -> float | None:
        """Return the time left, estimated from the mean time of this run's finished trials; None before the first one ends."""
        if not self.durations:
            return None
        mean = sum(self.durations) / len(self.durations)
        waiting = sum(s == "waiting" for states in self.states.values() for s in states)
        partly = sum(max(0.0, mean - (time.monotonic() - started)) for started, _ in self.running.values())
        return (waiting * mean + partly) / self.workers

    def draw(self) -> RenderableType:
        """Return the view."""
        table = Table(box=None, pad_edge=False)
        for name in ("arm", "trials", "done", "running", "failed"):
            table.add_column(name, justify="left" if name in ("arm", "trials") else "right")
        signs = {"waiting": "·", "running": "▸", "done": "●", "failed": "✗", "dropped": "-"}
        for arm, states in self.states.items():
            now = [epoch for (name, _), (_, epoch) in self.running.items() if name == arm]
            shown = ", ".join(f"{100 * epoch // max(1, self.epochs[arm])} %" for epoch in now)
            failed = states.count("failed")
            table.add_row(
                arm, " ".join(signs[s] for s in states), str(states.count("done")), shown, str(failed) if failed else ""
            )
        left = self.seconds_left()
        text = "time left: known after the first trial" if left is None else f"time left: about {left / 60:.1f} min"
        return Group(table, Text(text, style="dim"))
