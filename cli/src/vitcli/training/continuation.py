"""Where an interrupted run continues from, and clearing its files if it cannot continue."""

import sys
from pathlib import Path

from vitcli.records.metrics import METRICS
from vitcli.training.checkpoints import LAST, PREVIOUS, Saved, newest_checkpoint
from vitcli.training.metrics_file import has_epochs
from vitcli.training.ranks import is_first_rank


def interrupted(directory: Path) -> Saved | None:
    """Return the newest checkpoint in a run's directory whose epochs all have their metrics; None if there is none."""
    past = newest_checkpoint(directory)
    if past and not has_epochs(directory / METRICS, past.epochs):
        if is_first_rank():
            print(f"{directory / METRICS} has not all epochs that {past.path} has.", file=sys.stderr)
        return None
    return past


def whole_checkpoint(path: str) -> str:
    """Return the path of a run's last checkpoint; if it is damaged, print so and return that of the checkpoint before."""
    if Path(path).name != LAST or not Path(path).exists():
        return path
    past = newest_checkpoint(Path(path).parent)
    return path if past is None else str(past.path)


def clear(directory: Path) -> None:
    """Remove what an interrupted run left, before it starts again from the beginning."""
    names = (LAST, PREVIOUS, METRICS)
    for left in (*(directory / name for name in names), *directory.glob("events.out.tfevents.*")):
        left.unlink(missing_ok=True)
