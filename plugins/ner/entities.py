"""Entities in sequences of tags: how they are read, scored and compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Entity = tuple[str, int, int]  # type, first word, word after the last

TAG = re.compile(r"O|[BIESLU]-.+")
OUTSIDE = "O"
ERRORS = ("correct", "wrong boundary", "wrong type", "both wrong", "missed", "spurious")


def begins(tag: str, before: str) -> bool:
    """Return whether an entity begins with ``tag``, as conlleval reads it.

    Tags are O, B-, I-, E- (or L-) and S- (or U-) with a type: so IOB1, IOB2 (BIO) and BIOES (BILOU) are read alike.
    An I- after O or after another type begins an entity.
    """
    if tag == OUTSIDE:
        return False
    return tag[0] in "BSU" or before[0] in "OESLU" or tag[2:] != before[2:]


def entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a sentence, in order.

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [('PER', 0, 2), ('LOC', 3, 4), ('LOC', 4, 5)]
    """
    found: list[Entity] = []
    for at, tag in enumerate(tags):
        if begins(tag, tags[at - 1] if at else OUTSIDE):
            found.append((tag[2:], at, at + 1))
        elif tag != OUTSIDE:
            found[-1] = (*found[-1][:2], at + 1)
    return found


def bio(found: Iterable[Entity], length: int) -> list[str]:
    """Return the tags of a sentence with these entities: B- at their first word, I- at the others, O elsewhere."""
    tags = [OUTSIDE] * length
    for kind, start, end in found:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


@dataclass(frozen=True)
class Counts:
    """Entities of the truth, of an answer, and those of both that are equal in type and both boundaries."""

    true: int
    answered: int
    correct: int

    @property
    def precision(self) -> float:
        """Share of the answered entities that are right, in percent; 0 when there is none."""
        return 100 * self.correct / max(self.answered, 1)

    @property
    def recall(self) -> float:
        """Share of the true entities that are found, in percent; 0 when there is none."""
        return 100 * self.correct / max(self.true, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 200 * self.correct / max(self.true + self.answered, 1)


def count(truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> Counts:
    """Count the entities of all sentences, as conlleval does (Tjong Kim Sang and Buchholz 2000)."""
    pairs = [(set(entities(t)), set(entities(a))) for t, a in zip(truth, answers, strict=True)]
    return Counts(sum(len(t) for t, _ in pairs), sum(len(a) for _, a in pairs), sum(len(t & a) for t, a in pairs))


def by_type(truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> dict[str, Counts]:
    """Count the entities of each type that the truth or the answers have, types in order."""

    def only(kind: str, tags: Sequence[str]) -> list[str]:
        return bio([e for e in entities(tags) if e[0] == kind], len(tags))

    kinds = sorted({e[0] for tags in (*truth, *answers) for e in entities(tags)})
    return {k: count([only(k, t) for t in truth], [only(k, a) for a in answers]) for k in kinds}


def surface_forms(sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Counter[tuple[str, tuple[str, ...]]]:
    """Count the different entities of sentences (words, tags): type and words as they are written."""
    return Counter((kind, tuple(words[a:b])) for words, tags in sentences for kind, a, b in entities(tags))


def surface_f1(
    words: Sequence[Sequence[str]], truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]
) -> float:
    """Return the F1 over different entities, however often each occurs (Derczynski et al. 2017), in percent."""
    true, answered = (set(surface_forms(zip(words, tags, strict=True))) for tags in (truth, answers))
    return Counts(len(true), len(answered), len(true & answered)).f1


def errors(truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> dict[str, Counter[str]]:
    """Return for each type how often each of `ERRORS` happens.

    A true entity that overlaps with several answered ones counts by the best of them. Spurious is an answered
    entity, counted under its own type, that overlaps with no true one.
    """
    found: dict[str, Counter[str]] = {}
    for true_tags, answer_tags in zip(truth, answers, strict=True):
        true, answered = entities(true_tags), entities(answer_tags)
        for entity in true:
            found.setdefault(entity[0], Counter())[_outcome(entity, answered)] += 1
        for entity in answered:
            if not any(_overlap(entity, other) for other in true):
                found.setdefault(entity[0], Counter())["spurious"] += 1
    return dict(sorted(found.items()))


def _outcome(entity: Entity, answered: Sequence[Entity]) -> str:
    best = len(ERRORS)
    for other in answered:
        if _overlap(entity, other):
            best = min(best, 2 * (other[0] != entity[0]) + (other[1:] != entity[1:]))
    return ("correct", "wrong boundary", "wrong type", "both wrong")[best] if best < len(ERRORS) else "missed"


def _overlap(a: Entity, b: Entity) -> bool:
    return a[1] < b[2] and b[1] < a[2]
