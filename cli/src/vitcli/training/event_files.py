"""TensorBoard's event files of a run that may have been interrupted."""

from lightning.pytorch.loggers import TensorBoardLogger


class EventFiles(TensorBoardLogger):
    """Writes into the run's own directory, beside what earlier tries left there.

    Args:
        save_dir: Where the event files lie.
        purge_step: From here on TensorBoard leaves out what earlier tries wrote, for they died after it; None in a first try.
    """

    def __init__(self, save_dir: str, purge_step: int | None = None) -> None:
        super().__init__(save_dir, name="", version="", default_hp_metric=False, purge_step=purge_step)
