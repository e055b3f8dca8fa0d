"""The starter corpus: twelve thousand English sentences with judgements, made by a small grammar from a seed.

For training and testing a judge without another corpus. Its design makes scores meaningful:

* **Minimal pairs.** Sentences come in pairs, one acceptable and one not, that differ in one respect; that
  respect is the pair's phenomenon (``phenomena()`` names them). Each phenomenon has an equal share of
  each split.
* **Balance.** Pairs come two at a time, as squares (see ``grammar``): whatever word makes a sentence
  unacceptable makes another one acceptable. In every phenomenon of every split each word is as frequent
  under one label as under the other, so single words carry no information about the label.
* **Lexical split.** Nouns and verbs are divided among the splits (see ``lexicon``): what is right for a
  test sentence must be known from English, or from the structures seen in training, but not from its
  nouns and verbs.
* **Everyday sentences.** Twenty phenomena are those of textbooks (``forms``, ``structure``); nineteen have
  the subjects, verbs and lengths of plain talk (``everyday``, ``phrases``), so that a judge of this corpus is of use
  outside of it. No sentence is one of the twenty pairs that ``acceptor demo`` tries, nor differs from one in a
  single word.

The sentences are written for this project, by these four modules from the words in ``words``; they contain no other
author's text. The seed decides which word belongs to which split, and every draw; the same
seed makes the same corpus everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from acceptor.data.starter.grammar import Pair, Words
from acceptor.data.starter.lexicon import Lexicon
from acceptor.data.starter.phenomena import PHENOMENA, Phenomenon
from acceptor.data.starter.words import ENGLISH

COLUMNS = ("sentence", "label", "phenomenon", "pair")
"""The fields of a row."""

SQUARES = {"train": 64, "validation": 6, "test": 7}
"""How many squares (two pairs, four sentences) a split has of each phenomenon."""

Row = tuple[str, str, str, str]


def phenomena() -> tuple[str, ...]:
    """The names of the phenomena."""
    return tuple(PHENOMENA)


def generate(seed: int = 2018) -> dict[str, list[Row]]:
    """The whole corpus.

    Args:
        seed: Decides the division of the words, every choice in every sentence, and the order of the rows.

    Returns:
        The rows of ``train``, ``validation`` and ``test``, each as in ``COLUMNS``.
    """
    rng = random.Random(seed)  # noqa: S311 (chance for a corpus, not for a secret)
    lexicons = ENGLISH.partition(rng)
    seen: set[str] = set()
    corpus: dict[str, list[Row]] = {}
    for split, squares in SQUARES.items():
        rows: list[Row] = []
        for name, phenomenon in PHENOMENA.items():
            for number, pair in enumerate(_pairs(phenomenon, squares, lexicons[split], rng, seen), start=1):
                identity = f"{split}-{name}-{number:03}"
                rows.append((pair.acceptable, "acceptable", name, identity))
                rows.append((pair.unacceptable, "unacceptable", name, identity))
        rng.shuffle(rows)
        corpus[split] = rows
    return corpus


def _pairs(
    phenomenon: Phenomenon, squares: int, lexicon: Lexicon, rng: random.Random, seen: set[str]
) -> Iterator[Pair]:
    """The pairs of so many squares with only new sentences; adds the sentences to ``seen``."""
    while squares:
        square = phenomenon(Words(rng, lexicon))
        sentences = {member for pair in square for member in pair}
        if seen.isdisjoint(sentences):
            seen |= sentences
            squares -= 1
            yield from square
