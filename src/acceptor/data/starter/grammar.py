"""Phrases, sentences, and two ways to make minimal pairs in which no single word reveals the label.

Pairs are made two at a time, as a *square*. Either two frames and two forms are crossed, and each form is
right in one frame and wrong in the other:

|                              | *is*         | *are*        |
|------------------------------|--------------|--------------|
| The key near the lamps _ old | acceptable   | unacceptable |
| The keys near the lamp _ old | unacceptable | acceptable   |

Or the two members of a pair are the same words in two orders. In both cases every word of a square occurs as
often in acceptable sentences as in unacceptable ones. So this holds in each phenomenon and in each
split, and a linear model of single words can only guess.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from acceptor.data.starter.lexicon import (
    HUMAN_ADJECTIVES,
    THING_ADJECTIVES,
    Adjective,
    Form,
    Lexicon,
    Noun,
    ObjectClass,
    Verb,
    indefinite,
)

T = TypeVar("T")

SLOT = "_"

AUXILIARIES: dict[Form, Sequence[str]] = {
    "base": ("will", "would", "should", "could"),
    "participle": ("has", "had"),
    "ing": ("is", "was"),
}
"""Auxiliaries by the form of the verb that they govern."""

NEGATED = {
    "will": "won't",
    **{auxiliary: f"{auxiliary}n't" for auxiliary in ("would", "should", "could", "has", "had", "is", "was")},
}
"""Auxiliaries with their contracted negation, as in tag questions."""

OBJECTS: Sequence[ObjectClass] = ("thing", "person")
"""What transitive verbs take."""

PAST_AUXILIARIES: Sequence[tuple[str, Form]] = (
    ("would", "base"),
    ("should", "base"),
    ("could", "base"),
    ("had", "participle"),
    ("was", "ing"),
)
"""Auxiliary and form of a clause below a verb in the past."""

FINITE: Sequence[tuple[str, Form]] = (("", "past"), ("has", "participle"), ("had", "participle"))
"""Auxiliary, if any, and form of a finite verb that may be stative."""


class Pair(NamedTuple):
    """A minimal pair: two sentences that differ in one respect."""

    acceptable: str
    unacceptable: str


Square = tuple[Pair, Pair]
"""Two pairs in which every word is as often acceptable as not."""


def sentence(words: str) -> str:
    """The words as a written sentence: spaces, capital, full stop (or the question mark that is there)."""
    text = " ".join(words.split()).replace(" ?", "?")
    return text[0].upper() + text[1:] + ("" if text.endswith("?") else ".")


def cross(first: tuple[str, str], second: tuple[str, str]) -> Square:
    """The square of two frames, each with the form for its slot."""
    (frame_a, form_a), (frame_b, form_b) = first, second
    return (
        Pair(sentence(frame_a.replace(SLOT, form_a)), sentence(frame_a.replace(SLOT, form_b))),
        Pair(sentence(frame_b.replace(SLOT, form_b)), sentence(frame_b.replace(SLOT, form_a))),
    )


def orders(acceptable: str, unacceptable: str) -> Pair:
    """The pair of one set of words in two orders."""
    return Pair(sentence(acceptable), sentence(unacceptable))


class Words:
    """Draws the words of one square from a lexicon; no content word occurs twice.

    Args:
        rng: The random generator.
        lexicon: The words.
    """

    def __init__(self, rng: random.Random, lexicon: Lexicon) -> None:
        self.rng = rng
        self.lexicon = lexicon
        self._drawn: set[object] = set()

    def pick(self, options: Sequence[T]) -> T:
        """Any of the options."""
        return self.rng.choice(options)

    def two(self, options: Sequence[T]) -> tuple[T, T]:
        """Two different options."""
        first, second = self.rng.sample(options, 2)
        return first, second

    def draw(self, words: Sequence[T]) -> T:
        """A content word that was not drawn before."""
        word = self.rng.choice([word for word in words if word not in self._drawn])
        self._drawn.add(word)
        return word

    def man(self) -> str:
        """*John*."""
        return self.draw(self.lexicon.men)

    def woman(self) -> str:
        """*Mary*."""
        return self.draw(self.lexicon.women)

    def someone(self) -> str:
        """One person: *John*, *Mary* or *the teacher*."""
        return self.pick((self.man, self.woman, self.the_person))()

    def the_person(self) -> str:
        """*The teacher*."""
        return f"the {self.person().singular}"

    def person(self) -> Noun:
        """A noun for people."""
        return self.draw(self.lexicon.people)

    def thing(self) -> Noun:
        """A noun for things."""
        return self.draw(self.lexicon.things)

    def another(self, noun: Noun) -> Noun:
        """A noun of the same kind: for people or for things."""
        return self.person() if noun.human else self.thing()

    def adjective(self, noun: Noun) -> Adjective:
        """An adjective that fits the noun."""
        return self.pick(HUMAN_ADJECTIVES if noun.human else THING_ADJECTIVES)

    def modified(self, noun: Noun) -> tuple[str, str]:
        """The noun, in singular and plural, alone or with an adjective: *old lamp*, *old lamps*."""
        adjective = self.pick(("", f"{self.adjective(noun).positive} "))
        return adjective + noun.singular, adjective + noun.plural

    def noun_phrase(self, noun: Noun) -> str:
        """A singular noun phrase: *the lamp*, *an old lamp*."""
        singular, _ = self.modified(noun)
        return self.pick((f"the {singular}", indefinite(singular)))

    def transitive(self, takes: ObjectClass | None = None) -> tuple[Verb, Noun]:
        """A verb that needs an object (of that class, if one is given), and a noun for that object."""
        classes = {"thing": self.lexicon.transitive_thing, "person": self.lexicon.transitive_person}
        verb = self.draw(classes[takes or self.pick(OBJECTS)])
        return verb, self.object_of(verb)

    def intransitive(self) -> Verb:
        """A verb that allows no object."""
        return self.draw(self.lexicon.intransitive)

    def object_of(self, verb: Verb) -> Noun:
        """A noun that can be the verb's object."""
        return self.person() if verb.takes == "person" else self.thing()

    def predicate(self) -> Verb:
        """A whole verb phrase: *smile*, *repair the lamp*."""
        if self.pick((True, False)):
            return self.intransitive()
        verb, noun = self.transitive()
        return verb.with_object(self.noun_phrase(noun))

    def auxiliary(self, *forms: Form) -> tuple[str, Form]:
        """An auxiliary and the form that it governs: one of these, if any are given."""
        form = self.pick(forms or tuple(AUXILIARIES))
        return self.pick(AUXILIARIES[form]), form

    def tense(self, *forms: Form) -> tuple[str, Form]:
        """The same, or no auxiliary and the simple past."""
        return self.pick((self.auxiliary(*forms), ("", "past")))
