"""Sensors with known faults: one that is generated, and seven real ones of the Numenta Anomaly Benchmark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lstmlab.data import Dataset, Download, File, TimeTable
from lstmlab.registry import dataset

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LABEL = "anomalous"  # the column of both: 1 where a fault lasts, else 0
FAULTS = ("spike", "shift", "stuck", "missing cycle", "noise burst")
DAY = 48  # values of the generated sensor
SEED, DAYS, NORMAL_DAYS, EACH = 7, 120, 48, 4

NAB_COMMIT = "https://raw.githubusercontent.com/numenta/NAB/ea702d75cc2258d9d7dd35ca8e5e2539d71f3140/"
NAB_FILES = (  # name, bytes, SHA-256
    ("ambient_temperature_system_failure", 233_321, "230b68ccca20f59d562afd5d24ad52939c9b784386bed0054018358bf9120581"),
    (
        "cpu_utilization_asg_misconfiguration",
        539_274,
        "58ba65dc0737cfbac11b51514476d50c438d44011232144bb8d93f392df58f9f",
    ),
    ("ec2_request_latency_system_failure", 123_428, "98378580aa80157e057c61d59d81daddccc6c65a2c0c800e3f01f603b8215c3f"),
    ("machine_temperature_system_failure", 732_223, "92bf5b87fc7f9bba8ca0b7ec63ccaac8cb4a1371a258e8c29a10ae9c018d82a4"),
    ("nyc_taxi", 265_771, "d8fa6f7f0734bf5c8be12c52a94e20a82664c397d9dec4449156bd453d32856d"),
    ("rogue_agent_key_hold", 55_527, "47b110baa8e3636574c1033dda1cce780873647fab58223d159d4fee6f180e86"),
    ("rogue_agent_key_updown", 138_333, "9797cfef477c13306f7a33874ab4d6cf700f8f2c7e5825a2a5bc02004370909a"),
    ("combined_windows.json", 15_359, "1e1fbc4601321aad8d0f8b3784c8134299379f68f6c1f7777565f8ffd57ab6b1"),
)


def _nab_file(name: str, size: int, sha256: str) -> File:
    folder = "labels/" if name.endswith(".json") else "data/realKnownCause/"
    return File(name, sha256, size, (NAB_COMMIT + folder + name + ("" if name.endswith(".json") else ".csv"),))


@dataset("faulty_sensor")
class FaultySensor(Dataset):
    """A generated sensor with faults of five kinds."""

    tasks = ("anomaly",)
    size = f"{DAYS * DAY:,} values of {DAYS} days; {EACH * len(FAULTS)} faults after day {NORMAL_DAYS}"
    title = "Sensor with a daily and a weekly cycle, drift and noise, and five kinds of faults (generated)"
    kind = "generated"
    licence = "none needed: generated from a seed"
    source = "plugins/anomaly/data.py"
    citation = "none: generated here"
    quantity = "sensor (arbitrary units)"

    def load(self) -> TimeTable:
        """Return the sensor's values, and in `LABEL` where its faults are."""
        import pandas as pd

        values, kinds = sense(SEED)
        times = pd.date_range("2024-01-01", periods=len(values), freq="30min")
        frame = pd.DataFrame({"sensor": values, LABEL: (kinds > 0).astype(float)}, index=times)
        return TimeTable({"sensor": frame}, "sensor", self.quantity, "arbitrary units")

    def content(self) -> bytes:
        """Return the values' bytes."""
        values, kinds = sense(SEED)
        return bytes(values.tobytes() + kinds.tobytes())

    def notes(self) -> list[str]:
        """Say that the data is generated."""
        kinds = ", ".join(FAULTS)
        return [f"Generated, not measured: a value every 30 minutes; {EACH} faults each of the kinds {kinds}."]


def sense(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a generated sensor's values (time,), and at each time 0 or 1 + the place of its fault in `FAULTS`.

    A daily cycle that is smaller at weekends, a slow drift, and noise that remembers. Faults are in
    random order, a fault in each of equally long slots after the first `NORMAL_DAYS` days.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    n = DAYS * DAY
    t = np.arange(n) / DAY
    weight = np.where(t % 7 < 5, 1.0, 0.55)
    cycle = weight * (np.sin(2 * np.pi * (t - 0.3)) + 0.35 * np.sin(4 * np.pi * t))
    noise = np.zeros(n)
    for i, shock in enumerate(random.normal(0, 0.06, n)):
        noise[i] = 0.7 * noise[i - 1] + shock
    level = 0.6 * np.sin(2 * np.pi * t / 90) + np.cumsum(random.normal(0, 0.003, n))
    values, kinds = 20 + 4 * (cycle + noise + level), np.zeros(n, int)
    slots = np.linspace(NORMAL_DAYS * DAY, n, EACH * len(FAULTS) + 1).astype(int)
    for kind, start, stop in zip(
        random.permutation(np.repeat(range(len(FAULTS)), EACH)), slots, slots[1:], strict=False
    ):
        first = int(random.integers(start + DAY // 2, stop - int(1.5 * DAY)))
        last = _break(values, FAULTS[kind], first, 20 + 4 * level, random)
        kinds[first:last] = 1 + kind
    return values, kinds


def _break(values: np.ndarray, fault: str, at: int, level: np.ndarray, random: np.random.Generator) -> int:
    """Put a fault into ``values`` from ``at`` on; return where it ends: an hour later, for the return is as sudden."""
    sign, size = random.choice([-1, 1]), random.uniform(1, 1.5)
    length = {"spike": 2, "noise burst": DAY // 4}.get(fault, int(random.integers(DAY // 2, DAY)))
    part = slice(at, at + length)
    if fault == "spike" or fault == "shift":
        values[part] += sign * size * 3
    elif fault == "stuck":
        values[part] = values[at]
    elif fault == "missing cycle":
        values[part] = level[part] + random.normal(0, 0.3, length)
    else:
        values[part] += random.normal(0, size * 1.2, length)
    return at + length + 2


@dataset("nab")
class NAB(Download):
    """Seven real sensors with faults of known causes, from the Numenta Anomaly Benchmark."""

    tasks = ("anomaly",)
    size = "7 series, 69,561 values, 19 anomalous windows"
    title = "Numenta Anomaly Benchmark, realKnownCause: seven sensors with faults of known causes"
    licence = "MIT"
    source = "https://github.com/numenta/NAB"
    citation = (
        "Ahmad, S., Lavin, A., Purdy, S. and Agha, Z. (2017), Unsupervised real-time anomaly detection for "
        "streaming data, Neurocomputing 262"
    )
    quantity = "value (standardised for each series)"
    files = tuple(_nab_file(*row) for row in NAB_FILES)

    def load(self) -> TimeTable:
        """Return the series row by row as the files have them: NAB counts rows, so no gap is filled."""
        import pandas as pd

        paths = self.paths()
        windows = json.loads(paths["combined_windows.json"].read_text(encoding="utf-8"))
        series = {}
        for name in (row[0] for row in NAB_FILES if row[0] in paths and not row[0].endswith(".json")):
            frame = pd.read_csv(paths[name], index_col="timestamp", parse_dates=True)
            frame[LABEL] = 0.0
            for first, last in windows[f"realKnownCause/{name}.csv"]:
                frame.loc[_between(frame, first, last), LABEL] = 1.0
            series[name] = frame
        return TimeTable(series, "value", self.quantity, "")

    def notes(self) -> list[str]:
        """Say what stays as the files have it."""
        return ["Rows are taken as the files have them, with their few repeated and missing times: NAB counts rows."]


def _between(frame: pd.DataFrame, first: str, last: str) -> np.ndarray:
    import pandas as pd

    inside: np.ndarray = (frame.index >= pd.Timestamp(first)) & (frame.index <= pd.Timestamp(last))
    return inside
