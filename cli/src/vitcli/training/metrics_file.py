"""metrics.csv: every row that a run logs, kept when the run is interrupted and continued."""

import csv
import io
import math
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from vitcli.records.json_files import write_text
from vitcli.records.metrics import METRICS


def rows_before(path: Path, epochs: int, steps: int = 0) -> list[dict[str, str]]:
    """Return the rows of the first ``epochs`` epochs, without empty cells; a row that was cut short is left out.

    Args:
        path: The file.
        epochs: Complete epochs.
        steps: For a run that was interrupted within an epoch, its steps: rows before this step are returned as well.
    """
    if not epochs and not steps:
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []
    rows = [{name: cell for name, cell in row.items() if cell} for row in found if None not in row]
    return [row for row in rows if _number(row, "epoch") < epochs or _number(row, "step") < steps]


def has_epochs(path: Path, epochs: int) -> bool:
    """Whether the file has rows of each of the first ``epochs`` epochs, or does not exist."""
    return not path.exists() or {int(_number(row, "epoch")) for row in rows_before(path, epochs)} == set(range(epochs))


def _number(row: dict[str, str], column: str) -> float:
    try:
        return float(row[column])
    except (KeyError, ValueError):
        return math.inf


class MetricsFile(Logger):
    """Appends rows to metrics.csv. A row with new columns makes it rewrite the whole file, in one step.

    Lightning's CSVLogger deletes the file of an earlier try, and loses it if the process dies while columns are added.

    Args:
        save_dir: Directory of metrics.csv.
        epochs: Number of epochs whose rows are kept from an earlier try. Rows of later epochs are dropped, since the run repeats
            these epochs.
        steps: Steps of an earlier try that ended within an epoch: rows before this step are kept as well.
    """

    def __init__(self, save_dir: str, epochs: int = 0, steps: int = 0) -> None:
        super().__init__()
        self.path = Path(save_dir) / METRICS
        self.rows = rows_before(self.path, epochs, steps)
        self.columns = sorted({name for row in self.rows for name in row})
        self.written = -1

    @property
    def name(self) -> str:
        """Empty: the logger makes no folder."""
        return ""

    @property
    def version(self) -> str:
        """Empty: the logger makes no folder."""
        return ""

    @property
    def save_dir(self) -> str:
        """The directory of metrics.csv."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing, since config.yaml holds the hyperparameters."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row; ``save`` writes it."""
        row = {**metrics, "step": len(self.rows) if step is None else step}
        self.rows.append({name: str(value) for name, value in row.items()})

    @rank_zero_only
    def save(self) -> None:
        """Write the rows that are not in the file yet."""
        new = self.rows[max(0, self.written) :]
        if self.written < 0 or any(name not in self.columns for row in new for name in row):
            self.columns = sorted({*self.columns, *(name for row in new for name in row)})
            if self.columns:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_text(self.path, self._lines([dict(zip(self.columns, self.columns, strict=True)), *self.rows]))
            else:
                self.path.unlink(missing_ok=True)
        elif new:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(self._lines(new))
        self.written = len(self.rows)

    def _lines(self, rows: list[dict[str, str]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.columns).writerows(rows)
        return text.getvalue()
