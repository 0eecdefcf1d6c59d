"""TensorBoard: event files below ``<outputs>/tensorboard``, written without TensorFlow and without its own threads."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence

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
        number = max([int(time.time()), *(n + 1 for n in former)])  # readers go by it; clocks are set back
        name = f"events.out.tfevents.{number:010d}.{socket.gethostname()}.{os.getpid()}"
        self._file = (self.folder / name).open("xb")
        self._writer = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        self._write(step=0, session_log=SessionLog(status=SessionLog.START))
        config = OmegaConf.to_yaml(OmegaConf.create(self.run.settings()))
        self._tell("config", "".join(f"    {line}\n" for line in config.splitlines()), 0)
        self.log(rows)

    def log(self, rows: Sequence[Row]) -> None:
        for row in rows:
            scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values(row).items()]
            self._write(step=row["step"], summary=Summary(value=scalars))
        self._file.flush()

    def end(self, result: Result | None) -> None:
        if result is not None:
            done = result["status"] == "done"
            if done:
                self.log([final(result)])
            self._tell("status", "done" if done else f"failed: {result['reason']}", result.get("steps", 0))
        self._file.close()

    def _tell(self, tag: str, text: str, step: int) -> None:
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
        value = Summary.Value(tag=tag, metadata=create_summary_metadata("", ""), tensor=tensor)
        self._write(step=step, summary=Summary(value=[value]))

    def _write(self, **what: object) -> None:
        self._writer.write(Event(wall_time=time.time(), **what).SerializeToString())
