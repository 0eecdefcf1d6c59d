"""Canons over a ground bass, made by rules: data that need no download and reward a long memory."""

from __future__ import annotations

import numpy as np

from .pieces import KEYS, LOWEST

SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of the major scale
GROUNDS = (  # roots of the chords that repeat, as steps of the scale
    (0, 4, 5, 3),
    (0, 5, 3, 4),
    (0, 3, 1, 4),
    (5, 1, 4, 0),
    (0, 2, 5, 4),
)
CHORD = 2  # frames of a chord: two eighths
VOICES = (72, 60, 48)  # MIDI number of the lowest note, C, of each voice of the canon, in the order of their entries
BASS = 36
ROUNDS = (5, 9)  # fewest and most repetitions of the ground


def canon(random: np.random.Generator) -> np.ndarray:
    """Return a piano roll (frames, 88) of a canon in three voices over a ground bass.

    The bass repeats the roots of four chords. The first voice invents a melody; the second follows it
    one repetition of the ground later, an octave below, and the third a repetition after that. What follows is
    known from what was: 8 frames back for the second voice, 16 for the third.

    Rules of the melody: at the beginning of a chord one of its notes, at most a fifth away from the note before;
    then either that note for both frames, or a step up or down the scale. So the voices agree with the chord
    whenever it changes, and do not cross. All pieces are in C, and end on it.
    """
    ground = GROUNDS[random.integers(len(GROUNDS))]
    rounds = int(random.integers(ROUNDS[0], ROUNDS[1] + 1))
    period = CHORD * len(ground)
    melody = _melody(ground, rounds, random)
    roll = np.zeros((rounds * period + CHORD, KEYS), bool)
    frames = np.arange(rounds * period)
    for entry, tonic in enumerate(VOICES):
        late = entry * period
        pitches = tonic + np.take(SCALE, melody[: len(frames) - late])
        roll[frames[late:], pitches - LOWEST] = True
    roots = np.repeat(np.tile(ground, rounds), CHORD)
    roll[frames, BASS + np.take(SCALE, roots) - LOWEST] = True
    roll[rounds * period :, [p - LOWEST for p in (*VOICES, BASS)]] = True
    return roll


def _melody(ground: tuple[int, ...], rounds: int, random: np.random.Generator) -> np.ndarray:
    """Return a step of the scale (0 to 6) for each frame."""
    steps: list[int] = []
    last = int(random.integers(7))
    for root in ground * rounds:
        tones = [t for t in ((root + third) % 7 for third in (0, 2, 4)) if abs(t - last) <= 4]
        tone = int(random.choice(tones))
        beside = [s for s in (tone - 1, tone + 1) if 0 <= s < 7]
        second = tone if random.random() < 0.5 else int(random.choice(beside))
        steps += [tone, second]
        last = second
    return np.array(steps)


def canons(count: int, seed: int = 0) -> list[np.ndarray]:
    """Return ``count`` canons."""
    random = np.random.default_rng(seed)
    return [canon(random) for _ in range(count)]
