"""What a model reads of an utterance, frame by frame, and how it embeds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.engine import RNN
from lstmlab.tasks.griffin_lim import MelFrames
from lstmlab.tasks.vocabulary import PADDING, Vocabulary

from .utterances import Utterance

PHONES = 3  # the first columns: numbers of this phone, the one before and the one after
NUMBERS = PHONES + 1  # then the number of the voice
FEATURES = NUMBERS + 5  # then where in the phone the frame is (part, since its begin, until its end), duration, pitch
TYPICAL = 0.1  # seconds of a phone: durations are read as their logarithm above it
BEND = 4.0  # factor on octaves above a voice's mean pitch, so that they spread over about 1


def read(
    utterance: Utterance, frames: int, mels: MelFrames, phones: Vocabulary, voice: int, pitch: np.ndarray
) -> np.ndarray:
    """Return (frames, FEATURES), float32.

    Args:
        utterance: its phones and durations are looked at, not its sound.
        frames: of the answer.
        mels: tells the time of each frame.
        phones: numbers of phones.
        voice: number of the voice.
        pitch: octaves above the voice's mean (frames,).
    """
    times = mels.times(frames)
    at = utterance.phone_at(times)
    numbers = phones.encode(utterance.phones)
    around = np.concatenate([[PADDING], numbers, [PADDING]])
    seconds = np.array(utterance.seconds)
    since = times - (np.cumsum(seconds) - seconds)[at]
    return np.column_stack(
        [
            numbers[at],
            around[at],
            around[at + 2],
            np.full(frames, voice),
            since / seconds[at],
            np.log1p(since / TYPICAL),
            np.log1p(np.maximum(seconds[at] - since, 0) / TYPICAL),
            np.log(seconds[at] / TYPICAL),
            BEND * pitch,
        ]
    ).astype(np.float32)


class AcousticModel(nn.Module):
    """Embed phones and voice, read frames in both directions, answer each with a linear head.

    As the acoustic model of Zen and Sak (2015, https://doi.org/10.1109/ICASSP.2015.7178816), which reads in one
    direction and answers with parameters of a vocoder; here they are mel bands.
    """

    def __init__(self, rnn: RNN, phones: int, voices: int, sizes: Sequence[int], outputs: int, dropout: float) -> None:
        super().__init__()
        self.phones = nn.Embedding(phones, sizes[0], padding_idx=PADDING)
        self.voices = nn.Embedding(voices, sizes[1])
        self.rnn = rnn
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(rnn.output_size * len(rnn.suffixes), outputs)

    def embedding(self, inputs: Tensor) -> Tensor:
        """Map (batch, time, FEATURES) to what the recurrence reads."""
        numbers = inputs[..., :NUMBERS].long()  # in padding there may be anything
        phones = self.phones(numbers[..., :PHONES].clamp(0, self.phones.num_embeddings - 1)).flatten(-2)
        voice = self.voices(numbers[..., PHONES].clamp(0, self.voices.num_embeddings - 1))
        return torch.cat([phones, voice, inputs[..., NUMBERS:]], -1)

    def forward(self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map (batch, time, FEATURES) to normalised mel frames (batch, time, bands)."""
        output, state = self.rnn(self.embedding(inputs), state, lengths)
        return self.head(self.dropout(output)), state


def width(sizes: Sequence[int]) -> int:
    """Return how many values of a frame the recurrence reads."""
    return PHONES * sizes[0] + sizes[1] + FEATURES - NUMBERS
