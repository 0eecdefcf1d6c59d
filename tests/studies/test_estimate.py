"""The time left is never negative, zero at the end, and right when speeds are constant."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import spec

from lstmlab.studies.display import Board
from lstmlab.studies.display import board as module
from lstmlab.studies.display.text import left
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch import Event

STEPS = 50


class Simulation:
    """A study whose runs take as long as they are said to, each with its steps at a constant speed."""

    def __init__(self, specs: Sequence[Spec], seconds: Sequence[float], workers: int) -> None:
        self.now = 0.0
        self.board = Board("study", dict.fromkeys(specs), specs, workers, lambda: self.now)
        free, self.news = [0.0] * workers, []
        for order, (one, takes) in enumerate(zip(specs, seconds, strict=True)):
            start = heapq.heappop(free)
            heapq.heappush(free, start + takes)
            steps = [(start + takes * n / STEPS, order, n, Event(one, n, 0.5)) for n in range(STEPS)]
            self.news += [*steps, (start + takes, order, STEPS, Event(one, result={"status": "done"}))]
        self.end = max(free)

    def run(self) -> Iterator[float | None]:
        """Yield what the board says is left after each event."""
        for now, *_, event in sorted(self.news, key=lambda n: n[:3]):
            self.now = now
            self.board.hear(event)
            found = self.board.picture().left
            yield None if found is None else found.seconds


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ESTIMATE_EVERY", 0.0)


TAKES = st.floats(0.5, 200)
KINDS = st.sampled_from([(task, cell) for task in ("climate", "adding") for cell in ("vanilla", "gru", "np")])


@given(st.lists(st.tuples(KINDS, TAKES), min_size=1, max_size=12), st.integers(1, 5))
def test_it_is_never_negative_and_zero_at_the_end(runs: list[tuple[tuple[str, str], float]], workers: int) -> None:
    specs = [spec(*kind, seed) for seed, (kind, _) in enumerate(runs)]
    said = list(Simulation(specs, [seconds for _, seconds in runs], workers).run())
    assert said[0] is None, "honest at the start"
    assert min(s for s in said if s is not None) >= 0
    assert said[-1] == 0


@given(TAKES, st.integers(1, 12), st.integers(1, 5))
def test_with_runs_that_take_equally_long_it_is_right_from_the_first_steps_on(
    takes: float, n: int, workers: int
) -> None:
    study = Simulation([spec("adding", "vanilla", seed) for seed in range(n)], [takes] * n, workers)
    said = [(study.now, seconds) for seconds in study.run()]
    known = [(now, seconds) for now, seconds in said if seconds is not None]
    assert known[0][0] < takes / 10
    assert [now + seconds for now, seconds in known] == pytest.approx([study.end] * len(known))
    falling = [seconds for _, seconds in known]
    assert all(later <= sooner + 1e-9 * study.end for sooner, later in pairwise(falling))


@given(
    st.dictionaries(KINDS, TAKES, min_size=2),
    st.integers(2, 4),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_it_is_right_for_a_mixture_once_each_kind_has_been_seen(
    takes: dict[tuple[str, str], float], seeds: int, workers: int, random: object
) -> None:
    rest = [(kind, seed) for kind in takes for seed in range(1, seeds)]
    random.shuffle(rest)  # type: ignore[attr-defined]
    runs = [*((kind, 0) for kind in takes), *rest]
    study = Simulation([spec(*kind, seed) for kind, seed in runs], [takes[kind] for kind, _ in runs], workers)
    known = [(study.now, seconds) for seconds in study.run() if study.board._ended.sums.keys() >= takes.keys()]
    assert [now + seconds for now, seconds in known] == pytest.approx([study.end] * len(known))


def test_a_task_that_was_never_seen_is_guessed_and_said_to_be() -> None:
    specs = [spec("adding", "vanilla", 0), spec("climate", "vanilla", 0), spec("adding", "gru", 0)]
    study = Simulation(specs, [10, 100, 20], 1)
    said = {}
    for _ in study.run():
        said.setdefault(round(study.now), left(study.board.picture().left))
    assert said[0] == "estimating the time left"
    assert said[10] == "perhaps 20 s left"
    assert said[20].startswith("about 2 min")
    assert said[110] == "about 10 s left", "a cell that was not seen takes as long as others on its task"


def test_a_run_that_goes_on_from_a_checkpoint_is_judged_by_the_steps_it_does() -> None:
    now = [0.0]
    run = spec("adding", "vanilla", 0, steps=100)
    board = Board("study", {run: None}, [run], 1, lambda: now[0])
    for now[0], step in ((0.0, 0), (5.0, 80), (6.0, 90)):
        board.hear(Event(run, step, 0.1))
    assert board.picture().left.seconds == pytest.approx(1.0)


def test_a_run_that_takes_longer_than_it_should_leaves_no_negative_time() -> None:
    now = [0.0]
    run = spec("adding", "vanilla", 0)
    board = Board("study", {run: None}, [run], 1, lambda: now[0])
    for now[0], step in ((0.0, 1), (10.0, 25)):
        board.hear(Event(run, step, 0.1))
    now[0] = 1000.0
    assert board.picture().left.seconds == 0
