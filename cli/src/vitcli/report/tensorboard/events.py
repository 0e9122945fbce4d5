"""Writing and deleting the report's own TensorBoard event files; a suffix distinguishes them from the trials'."""

import itertools
import os
import socket
import time
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
    """Write one event file of (step, summary) pairs into ``directory``, with a name that sorts after those written before."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    directory.mkdir(parents=True, exist_ok=True)
    name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}{SUFFIX}"
    events = [Event(wall_time=wall_time, step=step, summary=summary) for step, summary in summaries]
    # TensorBoard's own writer starts a thread for each file, which takes longer than writing a thousand small ones.
    with (directory / name).open("wb") as file:
        writer = RecordWriter(file)
        for event in [Event(wall_time=time.time(), file_version="brain.Event:2"), *events]:
            writer.write(event.SerializeToString())


_NUMBERS = itertools.count()


def scalars(values: Mapping[str, float]) -> "Summary":
    """Return one summary that holds several scalars."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
