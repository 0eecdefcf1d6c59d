"""TensorBoard: event files below ``<outputs>/tensorboard``, written without TensorFlow."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from io import BytesIO

from omegaconf import OmegaConf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from lstmlab.studies.store import Result
from lstmlab.studies.trackers.tracker import Row, Tracked, final, values


class TensorBoard:
    """A run as a folder of event files.

    One that goes on writes a file of its own with the whole history, whose first event tells readers to forget
    what the former files held: there may be steps in them that come after the checkpoint.
    """

    def __init__(self, run: Tracked) -> None:
        self.run = run
        self.folder = run.store.outputs / "tensorboard" / run.spec.name

    def begin(self, rows: Sequence[Row]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        former = [int(f.name.split(".")[3]) for f in self.folder.glob("events.out.tfevents.*")]
        number = max([int(time.time()), *(n + 1 for n in former)])  # readers go by it, and clocks are set back
        self._path = self.folder / f"events.out.tfevents.{number:010d}.{socket.gethostname()}.{os.getpid()}"
        self._write([Event(file_version="brain.Event:2"), Event(session_log=SessionLog(status=SessionLog.START))])
        config = OmegaConf.to_yaml(OmegaConf.create(self.run.settings()))
        self._write([_text("config", "".join(f"    {line}\n" for line in config.splitlines()), 0)])
        self.log(rows)

    def log(self, rows: Sequence[Row]) -> None:
        self._write([_scalars(row) for row in rows])

    def end(self, result: Result | None) -> None:
        if result is None:
            return
        if result["status"] == "done":
            self._write([_scalars(final(result)), _text("status", "done", result["steps"])])
        else:
            self._write([_text("status", f"failed: {result['reason']}", 0)])

    def _write(self, events: Sequence[Event]) -> None:
        """Append to the file, which is not kept open: whatever goes wrong with it leaves nothing behind."""
        written = BytesIO()
        writer = RecordWriter(written)
        for event in events:
            event.wall_time = time.time()
            writer.write(event.SerializeToString())
        with self._path.open("ab") as file:
            file.write(written.getvalue())


def _scalars(row: Row) -> Event:
    scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values(row).items()]
    return Event(step=row["step"], summary=Summary(value=scalars))


def _text(tag: str, text: str, step: int) -> Event:
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
    value = Summary.Value(tag=tag, metadata=create_summary_metadata("", ""), tensor=tensor)
    return Event(step=step, summary=Summary(value=[value]))
