"""Corruptions of sentences: a word deleted, swapped, moved, replaced, inflected or inserted.

Most corrupted sentences are not acceptable, and each differs from a natural one in one or two places, so that an
encoder that learns to tell them apart learns syntax without labels. Whatever is needed is counted in the text itself:
no dictionary, tagger or parser, so it works for every language that writes spaces between words, and by character for
Chinese and Japanese. Two of the edits aim at grammar:

* *inflect* replaces a word by one with the same beginning (*write*: *writes*, *written*), or a function word, that is
  one of the `FUNCTION_WORDS` most frequent, by another one (*is*: *are*; *him*: *he*);
* *replace* and *insert* often draw the word from those that follow the word before in the text, so that two words in a
  row look right and only the sentence does not.

Some corrupted sentences are acceptable by chance. They are kept, since nothing here can tell.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import regex

FUNCTION_WORDS = 120
SHARES = {"delete": 0.2, "swap": 0.15, "move": 0.1, "replace": 0.15, "inflect": 0.3, "insert": 0.1}
"""How often each edit is tried."""
TWO_EDITS = 0.25  # share of sentences with a second edit, which makes fewer of them acceptable by chance
TRIES = 8
FURTHEST = 6  # words that a moved word may pass
MOST_WORDS = 40_000  # words that may replace others: rarer ones are names and misspellings

# A word, or one character of a script that is written without spaces, or a punctuation mark.
WORD = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\w\p{M}]+(?:['’][\w\p{M}]+)*|[^\w\s]")

Word = tuple[str, str]
"""A word and the space before it."""


def words_of(sentence: str) -> list[Word]:
    """The words of a sentence with the space before each; joined, they are the sentence without outer space."""
    words, end = [], 0
    for found in WORD.finditer(sentence.strip()):
        words.append((found.string[end : found.start()], found.group()))
        end = found.end()
    return words


class Corruptor:
    """Corrupts sentences of one language, after a text in it.

    Args:
        sentences: The text: the more, the better the corruptions; a hundred sentences do.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        counts: Counter[str] = Counter()
        following: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            words = [word for _, word in words_of(sentence)]
            words[:1] = [word.lower() for word in words[:1]]
            counts.update(words)
            for word, after in itertools.pairwise(words):
                following[word][after] += 1
        letters = [word for word, _ in counts.most_common() if word[0].isalpha()][:MOST_WORDS]
        self.counts = counts
        self.function_words = letters[:FUNCTION_WORDS]
        self._is_function_word = frozenset(self.function_words)
        self._any = _Urn({word: counts[word] ** 0.75 for word in letters})
        self._after = {word: _Urn(after) for word, after in following.items()}
        self._same_start: defaultdict[str, list[str]] = defaultdict(list)
        for word in letters:
            if len(word) >= 3 and word.islower():
                self._same_start[word[:3]].append(word)
        self._forms: dict[str, list[str]] = {}

    def corrupt(self, sentence: str, rng: random.Random) -> str | None:
        """The sentence with one edit or two; None if it has too few words to edit."""
        words = words_of(sentence)
        if not words or len(_editable(words)) < 2:
            return None
        words[0] = words[0][0], self._uncapitalised(words[0][1])
        before = list(words)
        for _ in range(TRIES):
            self._edit(words, rng)
            if words != before and rng.random() < TWO_EDITS:
                self._edit(words, rng)
            text = "".join(space + word for space, word in words).strip()
            text = text[:1].upper() + text[1:] if sentence.strip()[:1].isupper() else text
            if text.lower() != sentence.strip().lower():
                return text
        return None

    def _edit(self, words: list[Word], rng: random.Random) -> None:
        """One edit in place; none if the drawn one is impossible here."""
        (kind,) = rng.choices(list(SHARES), list(SHARES.values()))
        places = _editable(words)
        if len(places) < 2:
            return
        at = rng.choice(places)
        space, word = words[at]
        if kind == "delete":
            function_words = [place for place in places if words[place][1].lower() in self._is_function_word]
            _delete(words, rng.choice(function_words) if function_words and rng.random() < 0.5 else at)
        elif kind == "swap":
            first = rng.randrange(len(places) - 1)
            _swap(words, places[first], places[first + 1])
        elif kind == "move":
            to = rng.choice([place for place in places if 2 <= abs(place - at) <= FURTHEST] or [at])
            _move(words, at, to)
        elif kind == "replace":
            words[at] = space, self._draw(words, at, 0.6, rng)
        elif kind == "inflect":
            words[at] = space, self._other_form(word, rng)
        else:
            words[at] = " " if any(space for space, _ in words) else "", word
            words.insert(at, (space, self._draw(words, at, 0.5, rng, rare=False)))

    def _draw(self, words: list[Word], at: int, in_context: float, rng: random.Random, *, rare: bool = True) -> str:
        """A word for a place: with a probability one that follows the word before; else any, or a function word."""
        after = self._after.get(words[at - 1][1]) if at else None
        if after and rng.random() < in_context and (word := after.draw(rng))[0].isalpha():
            return word
        return self._any.draw(rng) if rare else rng.choice(self.function_words)

    def _other_form(self, word: str, rng: random.Random) -> str:
        """Another form of a word, or another function word; the word itself if there is none."""
        small = word.lower()
        if small in self._is_function_word and rng.random() < 0.5:
            return rng.choice(self.function_words)
        if small not in self._forms:
            self._forms[small] = [other for other in self._same_start[small[:3]] if _is_form(other, small)]
        return rng.choice(self._forms[small] or [word])

    def _uncapitalised(self, word: str) -> str:
        """The first word of a sentence as it is written elsewhere."""
        return word.lower() if self.counts[word.lower()] >= self.counts[word] else word


class _Urn:
    """Draws words in proportion to their weights."""

    def __init__(self, weights: dict[str, float] | Counter[str]) -> None:
        self.words, self.sums = list(weights), list(itertools.accumulate(weights.values()))

    def draw(self, rng: random.Random) -> str:
        return self.words[bisect.bisect(self.sums, rng.random() * self.sums[-1])]


def _editable(words: list[Word]) -> list[int]:
    """The places of words; punctuation stays where it is."""
    return [place for place, (_, word) in enumerate(words) if word[0].isalnum()]


def _delete(words: list[Word], at: int) -> None:
    """Deletes a word and the space before it; the first word of a sentence has none."""
    space, _ = words.pop(at)
    if at == 0 and words:
        words[0] = space, words[0][1]


def _move(words: list[Word], at: int, to: int) -> None:
    """Moves a word to another place; the space before each place stays."""
    spaces, texts = [space for space, _ in words], [word for _, word in words]
    texts.insert(to, texts.pop(at))
    words[:] = zip(spaces, texts, strict=True)


def _swap(words: list[Word], first: int, second: int) -> None:
    """Swaps two words; the space before each place stays."""
    (before, one), (between, other) = words[first], words[second]
    words[first], words[second] = (before, other), (between, one)


def _is_form(word: str, of: str) -> bool:
    """True if two words share a beginning of 3 letters and of most of the longer one."""
    shared = next((place for place, pair in enumerate(zip(word, of, strict=False)) if pair[0] != pair[1]), None)
    shared = min(len(word), len(of)) if shared is None else shared
    longest = max(len(word), len(of))
    return word != of and shared >= max(3, longest - 3, 0.6 * longest)
