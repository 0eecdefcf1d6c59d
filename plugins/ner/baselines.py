"""What finds names without a network: a list of those that train sentences have, and each word's usual tag."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from lstmlab.tasks.tagging import Sentence

from .entities import OUTSIDE, Entity, bio, entities, surface_forms


class Gazetteer:
    """The names of the train sentences, found again wherever they stand: the longest first, of their usual type.

    A name is on the list where train sentences have it as a name at least as often as not.
    """

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        kinds: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for (kind, name), times in surface_forms(sentences).items():
            kinds[name][kind] += times
        self.longest = max(map(len, kinds), default=0)
        seen = Counter(span for words, _ in sentences for _, span in self._spans(words) if span in kinds)
        self.kinds = {
            name: min(found, key=lambda kind, found=found: (-found[kind], kind))  # type: ignore[misc]
            for name, found in kinds.items()
            if 2 * found.total() >= seen[name]
        }

    def _spans(self, words: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
        ends = [(a, min(a + self.longest, len(words))) for a in range(len(words))]
        return [(a, tuple(words[a:b])) for a, last in ends for b in range(last, a, -1)]

    def tag(self, words: Sequence[str]) -> list[str]:
        """Return the tags of a sentence."""
        found: list[Entity] = []
        for start, span in self._spans(words):
            if span in self.kinds and (not found or start >= found[-1][2]):
                found.append((self.kinds[span], start, start + len(span)))
        return bio(found, len(words))


class UsualTag:
    """Each word's most frequent tag in train sentences; O for words that they lack."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for words, tags in sentences:
            for word, tag in zip(words, tags, strict=True):
                counts[word][tag] += 1
        self.usual = {
            word: min(found, key=lambda tag, found=found: (-found[tag], tag))  # type: ignore[misc]
            for word, found in counts.items()
        }

    def tag(self, words: Sequence[str]) -> list[str]:
        """Return the tags of a sentence; an I- that begins an entity is read as one that does."""
        tags = [self.usual.get(word, OUTSIDE) for word in words]
        return bio(entities(tags), len(tags))
