"""What is promised of conditional random fields: what enumerating all sequences of tags gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lstmlab.tasks import crf

chains = given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 4), st.booleans(), st.integers(0, 2**31))


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def chain(batch: int, steps: int, tags: int, constrained: bool, seed: int) -> tuple[Tensor, Tensor, crf.Transitions]:
    """Return potentials of random transitions, lengths, and the transitions."""
    torch.manual_seed(seed)
    allowed, first = torch.rand(tags, tags) < 0.6, torch.rand(tags) < 0.6
    allowed[0], allowed[:, 0], first[0] = True, True, True
    transitions = crf.Transitions(allowed | (not constrained), first | (not constrained))
    for parameter in transitions.parameters():
        torch.nn.init.normal_(parameter)
    lengths = torch.randint(1, steps + 1, (batch,))
    lengths[0] = steps
    return transitions(3 * torch.randn(batch, steps, tags), lengths), lengths, transitions


def weights(potentials: Tensor, length: Tensor) -> dict[tuple[int, ...], Tensor]:
    """Return the log weight of every sequence of tags of one row (time, tags, tags)."""
    sequences = product(range(potentials.shape[-1]), repeat=int(length))
    return {s: torch.stack([potentials[t, s[t - 1] if t else 0, s[t]] for t in range(len(s))]).sum() for s in sequences}


@chains
@settings(max_examples=60, deadline=None)
def test_partition_weight_best_sequence_and_marginals_are_those_of_enumeration(
    batch: int, steps: int, tags: int, constrained: bool, seed: int
) -> None:
    potentials, lengths, transitions = chain(batch, steps, tags, constrained, seed)
    best, likely = crf.viterbi(potentials, lengths), crf.marginals(potentials, lengths)
    total = crf.log_partition(potentials, lengths).detach()
    for row, length in enumerate(lengths):
        found = weights(potentials[row].detach(), length)
        whole = torch.logsumexp(torch.stack(list(found.values())), 0)
        torch.testing.assert_close(total[row], whole)
        heaviest = max(found, key=lambda s: float(found[s]))
        assert best[row].tolist() == [*heaviest, *[-1] * (steps - len(heaviest))]
        weight = crf.log_weight(potentials.detach()[row : row + 1], best[row : row + 1], lengths[row : row + 1])
        torch.testing.assert_close(weight[0], found[heaviest])
        assert transitions.may_begin[heaviest[0]]
        assert all(transitions.allowed[a, b] for a, b in pairwise(heaviest))
        for t, j in product(range(steps), range(tags)):
            share = sum(float((w - whole).exp()) for s, w in found.items() if t < len(s) and s[t] == j)
            assert float(likely[row, t, j]) == pytest.approx(share, abs=1e-9)


@chains
@settings(max_examples=15, deadline=None)
def test_gradients_are_those_of_finite_differences(
    batch: int, steps: int, tags: int, constrained: bool, seed: int
) -> None:
    potentials, lengths, _ = chain(batch, steps, tags, constrained, seed)
    given = potentials.detach().clamp(min=-20).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: crf.log_partition(p, lengths), given)
    best = crf.viterbi(given, lengths)
    assert torch.autograd.gradcheck(lambda p: crf.log_weight(p, best, lengths), given)


def test_what_stands_after_an_end_changes_nothing_and_long_chains_stay_finite() -> None:
    torch.set_default_dtype(torch.float32)
    potentials, lengths, transitions = chain(4, 2000, 3, True, 0)
    other = torch.where(torch.arange(2000)[None, :, None, None] < lengths[:, None, None, None], potentials, torch.nan)
    for function in (crf.log_partition, crf.viterbi, crf.marginals):
        torch.testing.assert_close(function(potentials, lengths), function(other, lengths))
    crf.log_partition(potentials, lengths).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in transitions.parameters())
