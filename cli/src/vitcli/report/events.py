"""Writing and deleting the report's own TensorBoard event files, told apart from the trials' by their suffix."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

SUFFIX = ".vitcli"
EVENT_FILES = "events.out.tfevents.*"


def delete_own(root: Path) -> None:
    """Delete every event file below ``root`` that this package wrote, and the directories that this leaves empty."""
    for path in sorted(root.rglob(EVENT_FILES + SUFFIX)):
        path.unlink()
        for directory in path.parents:
            if directory == root or any(directory.iterdir()):
                break
            directory.rmdir()


def write_events(directory: Path, summaries: "list[tuple[int, Summary]]", wall_time: float) -> None:
    """Write one event file of (step, summary) pairs into ``directory``."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(directory), filename_suffix=SUFFIX)
    for step, summary in summaries:
        writer.add_event(Event(wall_time=wall_time, step=step, summary=summary))
    writer.close()


def scalars(values: Mapping[str, float]) -> "Summary":
    """One summary that holds several scalars."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
