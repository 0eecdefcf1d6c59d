"""Writing with an encoder-decoder: beam search, and drawing at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lstmlab.tasks.encoder_decoder import END, FIRST, START, EncoderDecoder, each
from lstmlab.tasks.nucleus import likeliest
from lstmlab.tasks.vocabulary import PADDING


@dataclass(frozen=True)
class Written:
    """What a model wrote.

    Attributes:
        symbols: without start and end.
        log_probability: of the symbols and the end, in nats.
        score: what beams are compared by: the log probability over the length penalty.
    """

    symbols: list[int]
    log_probability: float
    score: float


def length_penalty(length: Any, strength: float) -> Any:
    """Return ((5 + length) / 6) ** strength, by which a log probability is divided.

    Wu et al. (2016), https://arxiv.org/abs/1609.08144, eq. 14. With 0 short answers win, since every symbol costs.
    """
    return ((5 + length) / 6) ** strength


@torch.no_grad()
def beam_search(
    model: EncoderDecoder, source: Tensor, limits: Tensor, width: int = 5, penalty: float = 1.0
) -> list[Written]:
    """Return the best answer that a beam finds to each sequence; all sequences and beams go on together.

    An answer is finished where its end is among the ``width`` best continuations, and at the limit. A sequence is
    done when its best finished answer scores at least as well as its best unfinished one does now; done ones are
    taken out of the batch. ``width=1`` is greedy.

    Args:
        model: in evaluation mode.
        source: (batch, time), padded.
        limits: (batch,), symbols that an answer may have, its end included: at least 1.
        width: unfinished answers that are kept.
        penalty: strength of the `length_penalty`.
    """
    memory, state = model.encode(source)
    state = each(state, lambda s: s.repeat_interleave(width, 1))
    rows = torch.arange(len(source))  # of the batch that are not done
    total = torch.full((len(rows), width), -torch.inf).index_fill_(1, torch.tensor(0), 0.0)
    text = torch.full((len(rows), width, 1), START)
    best: list[Written] = [Written([], -torch.inf, -torch.inf)] * len(rows)
    steps = 0
    while len(rows):
        steps += 1
        logits, state = model.step(text[:, :, -1], state, memory)
        grown = total[..., None] + allowed(logits).log_softmax(2)
        ends, last = grown[..., END], grown.flatten(1).topk(width).values[:, -1:]
        early = (ends < last) & (steps < limits[rows])[:, None]
        _finish(best, rows, text, ends.masked_fill(early, -torch.inf), float(length_penalty(steps, penalty)))
        grown[..., END] = -torch.inf
        total, chosen = grown.flatten(1).topk(width)
        origin, symbol = chosen // grown.shape[2], chosen % grown.shape[2]
        text = torch.cat([text.gather(1, origin[..., None].expand(-1, -1, text.shape[2])), symbol[..., None]], 2)
        bar = torch.tensor([best[i].score for i in rows.tolist()])
        on = (steps < limits[rows]) & (total[:, 0] / length_penalty(steps + 1, penalty) > bar)
        flat = (origin + width * torch.arange(len(rows))[:, None])[on].flatten()
        state = each(state, lambda s, flat=flat: s[:, flat])  # type: ignore[misc]
        memory = memory if on.all() else memory.of(on)
        rows, total, text = rows[on], total[on], text[on]
    return best


def _finish(best: list[Written], rows: Tensor, text: Tensor, ended: Tensor, penalty: float) -> None:
    """Keep the answer that ends here and scores best, where it beats what was found before."""
    values, beams = ended.max(1)
    for at, (row, value) in enumerate(zip(rows.tolist(), values.tolist(), strict=True)):
        if value / penalty > best[row].score:
            best[row] = Written(text[at, beams[at], 1:].tolist(), value, value / penalty)


@torch.no_grad()
def sample(
    model: EncoderDecoder,
    source: Tensor,
    limits: Tensor,
    count: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> list[list[Written]]:
    """Return ``count`` answers to each sequence, drawn symbol by symbol.

    Args:
        model: in evaluation mode.
        source: (batch, time), padded.
        limits: (batch,), symbols that an answer may have, its end included.
        count: answers to each.
        temperature: divides the logits; below 1 is more certain.
        top_p: draw from the fewest symbols that are so probable together (nucleus sampling: Holtzman et al. 2020,
            https://arxiv.org/abs/1904.09751).
        seed: the same seed gives the same answers.
    """
    memory, state = model.encode(source)
    state = each(state, lambda s: s.repeat_interleave(count, 1))
    random = torch.Generator().manual_seed(seed)
    text = torch.full((len(source), count, 1), START)
    nats, ended = torch.zeros(len(source), count), torch.zeros(len(source), count, dtype=torch.bool)
    for step in range(1, int(limits.max()) + 1):
        logits, state = model.step(text[:, :, -1], state, memory)
        logits = allowed(logits)
        drawn = torch.multinomial(nucleus(logits / temperature, top_p).flatten(0, 1), 1, generator=random)
        symbol = drawn.view(ended.shape).masked_fill(limits[:, None] <= step, END)
        nats += logits.log_softmax(2).gather(2, symbol[..., None])[..., 0].masked_fill(ended, 0.0)
        text = torch.cat([text, symbol.masked_fill(ended, PADDING)[..., None]], 2)
        ended = ended | (symbol == END)
        if ended.all():
            break
    return [
        [
            Written([s for s in one if s >= FIRST], float(p), float(p))
            for one, p in zip(row[:, 1:].tolist(), ps, strict=True)
        ]
        for row, ps in zip(text, nats, strict=True)
    ]


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Return probabilities (..., symbols) of the most probable symbols that make up ``top_p``, zero for all others."""
    p, order = likeliest(logits, top_p)
    return torch.zeros_like(p).scatter_(-1, order, p)


def allowed(logits: Tensor) -> Tensor:
    """Return logits in which neither padding nor a start nor an unknown symbol can be written."""
    return logits.index_fill(-1, torch.arange(END), -torch.inf)
