"""News-like sentences with invented names, made by rules: data that need no download.

What a name is follows from its ending, from its neighbours, or from both. Many are bare stems that a person, a place, a
company or a product may have, so that only the context tells; some first names are ordinary words as well. Half
of the names in validation and test are composed of stems that no train sentence has. Some sentences are
all in lower or all in upper case, and a few say nothing of what a name stands for: there one can only guess.
"""

from __future__ import annotations

import numpy as np

from lstmlab.tasks.tagging import Sentence

COUNTS = {"train": 1500, "validation": 300, "test": 600}
UNSEEN = 0.5  # of the names in validation and test
LOWER, UPPER = 0.12, 0.05  # of the sentences
STEMS = 200  # of names in train sentences; as many again are for the others
NAMES = 300  # of each type, in train sentences; as many again for the others
SEED = 7

ONSETS = ("b", "br", "d", "dr", "f", "g", "gr", "h", "k", "kl", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "z")
VOWELS = ("a", "e", "i", "o", "u", "ei", "ou")
CODAS = ("l", "n", "r", "s", "nd", "rk", "lt", "m", "x", "th")
FIRST = (
    *("Anna", "Boris", "Carla", "David", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Karin", "Lukas"),
    *("Will", "May", "Rose", "Mark", "Grace", "Hope", "Art", "Dawn", "Bill", "Summer", "Frank", "Sunny"),  # words too
)
ENDINGS = {
    "person": ("", "", "", "son", "ski", "ova", "ez"),
    "location": ("", "", "", "burg", "ville", "ton", "stan"),
    "organisation": ("", "", "", "corp", "tech", "soft"),
    "product": ("", "", "", "ix", "ora", "phone"),
}
FORMS = {
    "person": ("{x}", "{first} {x}", "{first} {x}", "{first} {l}. {x}"),
    "location": ("{x}", "{x}", "{x}", "New {x}", "Lake {x}", "{x} Valley"),
    "organisation": ("{x}", "{x}", "{x}", "{x} Group", "Bank of {x}", "University of {x}", "{x} United"),
    "product": ("{x}", "{x}", "{x}", "{x} {n}", "{x} Pro", "{x} {n} Plus"),
}
TEMPLATES = """\
<P> said on Monday that <O> would open an office in <L> .
<P> , who was born in <L> , joined <O> last year .
Shares of <O> fell after <P> resigned .
<O> has released the <T> in <L> .
I bought a <T> yesterday and it broke .
My <T> stopped working after the update .
The train from <L> to <L> was late again .
<P> and <P> got married in <L> last Sunday .
Police in <L> arrested a man called <P> .
Analysts at <O> expect lower prices .
<O> announced a cheaper version of the <T> .
We flew to <L> with <P> .
<P> drove from <L> to the sea .
The mayor of <L> , <P> , thanked the firefighters .
<O> hired <P> as its new chief .
The <T> is faster than the <T> , <P> wrote .
Has anyone tried the new <T> ?
Heavy rain hit <L> on Tuesday .
Workers at <O> went on strike in <L> .
<P> told reporters that she would leave <O> .
<P> scored twice for <O> .
<O> won in <L> for the first time .
Where can I get a charger for my <T> ?
Dr. <P> teaches at <O> .
Mr. <P> sold his house near <L> .
According to <P> , the <T> costs too much .
The river near <L> froze .
Customers of <O> complained about the <T> .
The weather in <L> is fine today .
Hotels in <L> are full .
<P> met <P> at the airport of <L> .
<O> and <O> agreed to merge .
<P> ate lunch .
<P> won .
@ <P> so true !
lol <P> is right about the <T>
just landed in <L> !
Love my new <T> !
The crowd cheered when <P> sang .
<A> was in the news again .
Nobody had heard of <A> before .
What do you think of <A> ?
<A> again !
""".splitlines()  # <P> person, <L> location, <O> organisation, <T> product, <A> any of them
PLAIN = """\
Will the train stop here ?
May is the wettest month .
A rose grew by the gate .
Mark the date .
Hope remains , the doctor said .
The bill was paid on Friday .
Grace is a virtue .
Summer came early and the prices rose .
Dawn broke over the hills .
To be frank , the art was poor .
The French team trained on Monday .
Nobody will buy it in May .
The bank closed at noon .
A new lake formed in the valley .
The group will meet at the university .
Frank talks were held .
It was sunny in the morning .
The phone rang twice .
Bill us on Tuesday , please .
Art is long , life is short .
He is new here .
I united the two files .
""".splitlines()  # no entity at all, though many words look like one
LEADS = (
    "On Friday ,",
    "Yesterday",
    "RT @newsroom :",
    "Breaking :",
    "Sources say that",
    "In the end ,",
    "Today ,",
    "Well ,",
)
TAILS = ("again", "this week", ", sources said", ", officials said on Monday", "after all", "as planned", ", he said")
KINDS = {"<P>": "person", "<L>": "location", "<O>": "organisation", "<T>": "product"}


Names = dict[str, list[list[str]]]  # words of the names of each type


def sentences(split: str) -> list[Sentence]:
    """Return the sentences of a split, always the same."""
    random = np.random.default_rng(SEED)
    known, new = (_names(random, stems) for stems in _stems(random))
    drawing = np.random.default_rng([SEED, list(COUNTS).index(split)])
    return [_sentence(drawing, known, 0.0 if split == "train" else UNSEEN, new) for _ in range(COUNTS[split])]


def _stems(random: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return the stems of the names in train sentences, and other ones."""
    found: dict[str, None] = {}
    while len(found) < 2 * STEMS:
        syllables = [random.choice(ONSETS) + random.choice(VOWELS) for _ in range(random.integers(1, 3))]
        found["".join(syllables).capitalize() + random.choice(CODAS)] = None
    return list(found)[:STEMS], list(found)[STEMS:]


def _names(random: np.random.Generator, stems: list[str]) -> Names:
    """Return names of each type, made of these stems."""
    return {kind: [_name(random, kind, str(random.choice(stems))) for _ in range(NAMES)] for kind in ENDINGS}


def _name(random: np.random.Generator, kind: str, stem: str) -> list[str]:
    form, ending = str(random.choice(FORMS[kind])), str(random.choice(ENDINGS[kind]))
    letter, number = chr(65 + int(random.integers(26))), int(random.integers(2, 12))
    return form.format(x=stem + ending, first=random.choice(FIRST), l=letter, n=number).split()


def _sentence(random: np.random.Generator, known: Names, unseen: float, new: Names) -> Sentence:
    """Return a sentence whose names are ``new`` ones in this share of the cases; some of the ``known`` come often."""
    template = str(random.choice(PLAIN if random.random() < 0.2 else TEMPLATES))
    if random.random() < 0.3:
        template = f"{random.choice(LEADS)} {template}"
    if random.random() < 0.3 and template.endswith(" ."):
        template = f"{template[:-2]} {random.choice(TAILS)} ."
    weights = 1 / (10 + np.arange(NAMES))  # nearly Zipf's
    words: list[str] = []
    tags: list[str] = []
    for word in template.split():
        if not word.startswith("<"):
            words.append(word)
            tags.append("O")
            continue
        kind = KINDS.get(word) or str(random.choice(list(ENDINGS)))
        names = new if random.random() < unseen else known
        name = names[kind][random.choice(NAMES, p=weights / weights.sum())]
        words += name
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)]
    case = random.random()
    if case < LOWER:
        words = [w.lower() for w in words]
    elif case < LOWER + UPPER:
        words = [w.upper() for w in words]
    return words, tags
