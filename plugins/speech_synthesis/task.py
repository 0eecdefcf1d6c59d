"""The task of speech synthesis: phones with durations become mel frames, and these become sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from lstmlab.data.audio import write_wav
from lstmlab.errors import LstmlabError
from lstmlab.schema import option
from lstmlab.tasks import Metric
from lstmlab.tasks.acoustic_regression import AcousticRegression, FramesConfig
from lstmlab.tasks.griffin_lim import MelFrames
from lstmlab.tasks.task import Batch, MakeRNN
from lstmlab.tasks.vocabulary import Vocabulary

from . import exhibits
from .baselines import BASELINES
from .distortion import scores
from .pitch import contour
from .reading import AcousticModel, read, width
from .strings import parse, read_strings
from .utterances import Utterance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHORTEST = 1.0  # seconds of the test utterance that is shown


@dataclass(kw_only=True)
class SpeechSynthesisConfig(FramesConfig):
    """Keys of the task."""

    utterances: int = option(240, low=3)  # that are generated; files have as many as they have
    validation: float = option(0.15, above=0, below=0.5)  # share of the utterances
    test: float = option(0.15, above=0, below=0.5)  # share of the utterances
    rate: int = option(8000, low=8000, high=48_000)  # samples per second; sound of another rate is resampled
    bands: int = option(64, low=13, high=128)  # of mel
    hop: float = option(0.01, above=0, high=0.05)  # seconds from one frame to the next
    frame: float = option(0.04, above=0, high=0.2)  # seconds that a frame looks at
    stress: bool = option(True)  # whether AA0, AA1 and AA2 are three phones or one
    pitch: bool = option(True)  # whether the pitch of a recording is read beside its phones
    phone_embedding: int = option(16, low=1)  # values of a phone
    voice_embedding: int = option(4, low=1)  # values of a voice
    dropout: float = option(0.0, low=0, below=1)  # of the recurrence's output before the head
    iterations: int = option(60, low=1)  # of Griffin-Lim


class SpeechSynthesis(AcousticRegression):
    """Predict log mel bands from phones, durations, voice and pitch, and make sound of them.

    Durations and pitch of the utterances that are scored are those of the recordings, so frames need no alignment:
    what is compared is the acoustic model, as in Zen and Sak (2015). Frames of silence count neither in the metrics of
    models nor in those of baselines.
    """

    Config = SpeechSynthesisConfig
    config: SpeechSynthesisConfig
    metrics = (Metric("MCD", "dB"), Metric("log-mel error", "dB"))
    example_title = "Mel-cepstral distortion along an unseen utterance"

    @classmethod
    def tiny(cls) -> list[str]:
        """A few utterances, a small network."""
        return [
            "task.utterances=16", "task.hidden_size=16", "task.window=60", "task.iterations=5", "train.batch_size=8",
            "train.steps=20", "train.evaluate_every=10",
        ]  # fmt: skip

    @cached_property
    def mels(self) -> MelFrames:
        """How sound is seen as frames."""
        c = self.config
        return MelFrames(c.rate, c.bands, c.hop, c.frame)

    @cached_property
    def splits(self) -> dict[str, list[Utterance]]:
        """The utterances of each split."""
        splits: dict[str, list[Utterance]] = self.dataset.load()
        return splits

    @cached_property
    def _kept(self) -> dict[tuple[str, str], list[Any]]:
        return {}

    def vectors(self, split: str) -> list[np.ndarray]:
        """Return the real log mel bands (frames, bands) of each utterance of a split."""
        if (found := self._kept.get(("vectors", split))) is None:
            found = self._kept["vectors", split] = [self.mels.of(u.samples) for u in self.splits[split]]
        return found

    def contours(self, split: str) -> list[np.ndarray | None]:
        """Return the pitch (frames,) of each utterance of a split in octaves above 1 Hz, None where there is none."""
        if (found := self._kept.get(("contours", split))) is None:
            found = self._kept["contours", split] = [self._contour(u) for u in self.splits[split]]
        return found

    def features(self, split: str) -> list[np.ndarray]:
        """Return what is read of each utterance of a split, (frames, FEATURES)."""
        if (found := self._kept.get(("features", split))) is None:
            said = zip(self.splits[split], self.contours(split), strict=True)
            found = self._kept["features", split] = [self.read(u, pitch) for u, pitch in said]
        return found

    def _contour(self, utterance: Utterance) -> np.ndarray | None:
        if not self.config.pitch or not len(utterance.samples):
            return None
        return contour(utterance.samples, self.config.rate, self.mels.step, self._length(utterance))

    def _length(self, utterance: Utterance) -> int:
        """Return the frames of an utterance."""
        samples = len(utterance.samples) or round(self.config.rate * sum(utterance.seconds))
        return 1 + samples // self.mels.step

    def read(self, utterance: Utterance, pitch: np.ndarray | None = None) -> np.ndarray:
        """Return what a model reads of an utterance; without a pitch, that of its voice, falling as it usually does."""
        voices = self.fitted["voices"]
        voice = voices.index(utterance.voice) if utterance.voice in voices else 0
        frames, line = self._length(utterance), self.fitted["pitch"][voice]
        pitch = np.linspace(*line, frames) if pitch is None else pitch
        phones = Vocabulary(self.fitted["phones"])
        return read(utterance, frames, self.mels, phones, voice, pitch - np.mean(line))

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """What train utterances tell.

        ``mean`` and ``std`` of each band; ``phones`` and ``voices`` by number; ``seconds`` of each phone on average;
        ``pitch`` of each voice, octaves above 1 Hz at the beginning and at the end of an utterance.
        """
        train = self.splits["train"]
        phones = Vocabulary.of(u.phones for u in train)
        found: dict[str, list[float]] = defaultdict(list)
        for utterance in train:
            for phone, seconds in zip(utterance.phones, utterance.seconds, strict=True):
                found[phone].append(seconds)
        voices = sorted({u.voice for u in train})
        return {
            **self.scales(),
            "phones": phones.symbols,
            "voices": voices,
            "seconds": {phone: float(np.mean(found[phone])) for phone in sorted(found)},
            "pitch": [self._line(voice) for voice in voices],
        }

    def _line(self, voice: str) -> list[float]:
        """Return the pitch of a voice at the beginning and at the end of an utterance, on average over train ones."""
        said = zip(self.splits["train"], self.contours("train"), strict=True)
        found = [pitch for utterance, pitch in said if utterance.voice == voice and pitch is not None]
        if not found:
            return [0.0, 0.0]
        places = np.concatenate([np.linspace(0, 1, len(pitch)) for pitch in found])
        slope, begin = np.polyfit(places, np.concatenate(found), 1)
        return [float(begin), float(begin + slope)]

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return an acoustic model that reads an utterance in both directions."""
        sizes = (self.config.phone_embedding, self.config.voice_embedding)
        rnn = make_rnn(width(sizes), bidirectional=True)
        phones, voices = len(self.fitted["phones"]), len(self.fitted["voices"])
        return AcousticModel(rnn, phones, voices, sizes, self.config.bands, self.config.dropout)

    def spoken(self, split: str) -> list[np.ndarray]:
        """Return which frames of each utterance count: those in which somebody speaks."""
        said = zip(self.splits[split], self.vectors(split), strict=True)
        return [u.spoken_at(self.mels.times(len(mel))) for u, mel in said]

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return the metrics over all frames of a split in which somebody speaks."""
        return scores(self.answers(model, self.features(split)), self.vectors(split), self.spoken(split))

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the mean frame, the mean frame of each phone, and the nearest phone of train utterances."""
        return {name: scores(self.baseline(name, split), self.vectors(split), self.spoken(split)) for name in BASELINES}

    def baseline(self, name: str, split: str) -> list[np.ndarray]:
        """Return the log mel bands with which a baseline answers the utterances of a split."""
        fitted = BASELINES[name](self.splits["train"], self.vectors("train"), self.mels)
        return [fitted.answer(u, len(mel)) for u, mel in zip(self.splits[split], self.vectors(split), strict=True)]

    def shown(self) -> int:
        """Return the test utterance that is shown, by number: the shortest that lasts a second."""
        lasting = [sum(u.seconds) for u in self.splits["test"]]
        return min(range(len(lasting)), key=lambda i: (lasting[i] < SHORTEST, abs(lasting[i] - SHORTEST)))

    def example(self) -> Batch:
        """Return the test utterance that is shown."""
        at = self.shown()
        return self.batch([self.features("test")[at]], [self.vectors("test")[at]])

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw how far each model's frames are from the real ones along an utterance."""
        at = self.shown()
        real = self.vectors("test")[at]
        answers = {"mean frame of the phone": self.baseline("mean frame of the phone", "test")[at]}
        answers |= {name: self.answers(m, [self.features("test")[at]])[0] for name, m in models.items()}
        exhibits.draw_distortion(ax, self.splits["test"][at], self.mels, real, answers, colours)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return spectrograms, sounds, and the distortion of each class of phones and of each phone."""
        at, features, real = self.shown(), self.features("test"), self.vectors("test")
        answers = {name: self.answers(model, features) for name, model in models.items()}
        others = {name: self.baseline(name, "test") for name in ("mean frame of the phone", "nearest train phone")}
        utterance, mels = self.splits["test"][at], {name: found[at] for name, found in answers.items()}
        played = {exhibits.CEILING: real[at], "nearest train phone": others["nearest train phone"][at], **mels}
        sounds = {name: self.mels.sound(mel, self.config.iterations) for name, mel in played.items()}
        table = exhibits.by_phone(self.splits["test"], self.mels, real, others | answers)
        return {
            f"The test utterance {utterance.name}: the recording, and what each model makes of its phones": (
                exhibits.draw_spectrograms(utterance, self.mels, {exhibits.REAL: real[at], **mels})
            ),
            "The same to listen to": exhibits.players(utterance, self.mels, sounds),
            "Mel-cepstral distortion by class of phones": exhibits.draw_classes(table, [*others], colours),
            "Mel-cepstral distortion of each phone (dB), test utterances": exhibits.phone_table(table),
        }

    def synthesise(
        self, model: nn.Module, said: str | Utterance, path: str | Path | None = None, voice: str | None = None
    ) -> np.ndarray:
        """Return the sound of phones, float32 samples at ``task.rate``, and write it to a WAV file.

        >>> run.task.synthesise(run.model, "HH AH0 L OW1:160", "hello.wav")  # doctest: +SKIP

        Args:
            model: a trained one.
            said: phones, with durations in milliseconds where they shall not be the usual ones; or an utterance, as
                those in ``task.splits["test"]``, whose pitch is kept where it has sound.
            path: of the WAV file; without it, none is written.
            voice: one of ``task.fitted["voices"]``; the first of them for phones that come without.

        Raises:
            LstmlabError: for a phone, duration or voice that cannot be used, or a file that cannot be written.
        """
        if isinstance(said, str):
            voices = self.fitted["voices"]
            said = parse("phones", said, voice or voices[0], self.fitted["seconds"], voices)
        mel = self.answers(model, [self.read(said, self._contour(said))])[0]
        samples = self.mels.sound(mel, self.config.iterations)
        if path is not None:
            try:
                write_wav(Path(path).expanduser(), samples, self.config.rate)
            except OSError as error:
                raise LstmlabError(f"{path} cannot be written: {error.strerror or error}") from None
        return samples

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Synthesise a file of phone strings: a WAV file for each line, in a folder beside it.

        A line is ``NAME<TAB>PHONES`` or ``NAME<TAB>PHONES<TAB>VOICE``; `read_strings` says more. The sound of NAME in
        lines.txt is lines_wav/NAME.wav. Columns: name, voice, phones with the durations that were used (ms),
        seconds, and the file.
        """
        import pandas as pd

        said = read_strings(source, self.fitted["seconds"], self.fitted["voices"])
        folder = source.parent / f"{source.stem}_wav"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise LstmlabError(f"{folder} cannot be made: {error.strerror or error}") from None
        rows = []
        for utterance in said:
            file = folder / f"{utterance.name}.wav"
            samples = self.synthesise(model, utterance, file)
            lasting = zip(utterance.phones, utterance.seconds, strict=True)
            rows.append(
                {
                    "name": utterance.name,
                    "voice": utterance.voice,
                    "phones": " ".join(f"{phone}:{1000 * seconds:.0f}" for phone, seconds in lasting),
                    "seconds": len(samples) / self.config.rate,
                    "file": str(file),
                }
            )
        return pd.DataFrame(rows)

    def notes(self) -> list[str]:
        """Say how much there is, what counts, and what the train split does not know."""
        c, phones = self.config, set(self.fitted["phones"])
        sizes = ", ".join(f"{len(s)} {k} ({sum(sum(u.seconds) for u in s):.0f} s)" for k, s in self.splits.items())
        counted = np.concatenate(self.spoken("test"))
        given = "durations and pitch" if c.pitch else "durations"
        told = [
            f"Utterances: {sizes}, at {c.rate:,} Hz; {c.bands} mel bands each {1000 * self.mels.step / c.rate:.1f} ms.",
            f"Models are given the {given} of the recordings; {np.mean(~counted):.0%} of the test frames are silence, "
            "which counts in no metric.",
        ]
        for split in ("validation", "test"):
            strange = [p for u in self.splits[split] for p in u.phones if p not in phones]
            if strange:
                told.append(f"{len(strange)} {split} phones do not occur in train: {', '.join(sorted(set(strange)))}.")
        mute = sum(pitch is None for split in self.splits for pitch in self.contours(split)) if c.pitch else 0
        return [*told, f"{mute} utterances have no pitch; that of their voice stands in."] if mute else told
