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
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from acceptor.data.starter.lexicon import (
    Activity,
    Adjective,
    Form,
    Lexicon,
    Noun,
    ObjectClass,
    Verb,
    indefinite,
)
from acceptor.data.starter.words import HUMAN_ADJECTIVES, THING_ADJECTIVES

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

OWNERS = ("my", "your", "his", "her", "our", "their")

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

    def one_of(self, *makers: Callable[[], T]) -> T:
        """What any of these makes."""
        return self.pick(makers)()

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
        """One person: *John*, *Mary*, *the teacher* or *my brother*."""
        return self.one_of(self.man, self.woman, self.the_person, self.my_relative)

    def relative(self) -> tuple[str, Noun]:
        """*My*, *brother*. Parents have one owner only in the singular, so theirs is *our* or *their*."""
        noun = self.draw((*self.lexicon.friends, *self.lexicon.brothers, *self.lexicon.sisters))
        parent = noun.singular.endswith(("father", "mother"))
        return self.pick(("our", "your", "their") if parent else OWNERS), noun

    def my_relative(self) -> str:
        """*My brother*."""
        owner, noun = self.relative()
        return f"{owner} {noun.singular}"

    def our_relatives(self) -> str:
        """*Our brothers*."""
        owner, noun = self.relative()
        return f"{owner} {noun.plural}"

    def one(self) -> str:
        """A singular subject: *he*, *John*, *my brother*. Not *everyone*: *everyone sing* is an imperative."""
        return self.one_of(self.someone, self.someone, lambda: self.pick(("he", "she")))

    def many(self) -> str:
        """A plural subject: *they*, *our brothers*, *the teachers*, *John and Mary*."""
        return self.one_of(
            lambda: self.pick(("we", "they", "you")),
            self.our_relatives,
            lambda: f"the {self.person().plural}",
            lambda: f"{self.man()} and {self.woman()}",
        )

    def one_or_many(self) -> str:
        """A subject of either number, for verbs that show none."""
        return self.one_of(self.one, self.many)

    def place(self) -> str:
        """*In the garden*, *in Rome*, *here*."""
        return self.one_of(
            lambda: f"{self.pick(('in', 'in', 'near', 'behind'))} the {self.building()}",
            lambda: f"in {self.city()}",
            lambda: self.pick(("here", "there", "outside", "at home")),
        )

    def building(self) -> str:
        """*Garden*, *museum*."""
        return self.draw(self.lexicon.places).singular

    def city(self) -> str:
        """*Rome*."""
        return self.draw(self.lexicon.cities)

    def animal(self) -> Noun:
        """A noun for animals."""
        return self.draw(self.lexicon.animals)

    def action(self) -> Verb:
        """A verb that does without an object."""
        return self.draw(self.lexicon.actions)

    def activity(self, *, strong: bool = False) -> tuple[Verb, Noun]:
        """A verb and what people commonly do it to; ``strong``: its past is no participle."""
        activities = self.lexicon.activities
        if strong:
            more = [Activity(verb, self.lexicon.things) for verb in self.lexicon.strong if verb.takes == "thing"]
            activities = (*(a for a in activities if a.verb.past != a.verb.participle), *more)
        entry = self.draw(activities)
        return entry.verb, self.pick(entry.objects)

    def deed(self) -> Verb:
        """A whole verb phrase of everyday life: *swim in the garden*, *thank Mary*, *write a poem*, *write poems*."""
        kind = self.pick(("action", "action", "person", "activity", "activity"))
        if kind == "action":
            return self.action().with_object(self.place())
        if kind == "person":
            return self.transitive("person")[0].with_object(self.someone())
        verb, noun = self.activity()
        return verb.with_object(self.pick((self.own(noun), self.own(noun), noun.plural)))

    def own(self, noun: Noun) -> str:
        """A noun phrase: *the poem*, *a poem*, *this poem*, *her poems*."""
        owned = f"{self.pick(OWNERS)} {self.pick((noun.singular, noun.plural))}"
        return self.pick((f"the {noun.singular}", indefinite(noun.singular), f"this {noun.singular}", owned))

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
        return self.pick(self.adjectives(noun))

    def trait(self) -> str:
        """What a person can be: *tall*."""
        return self.pick(HUMAN_ADJECTIVES).positive

    def adjectives(self, noun: Noun) -> Sequence[Adjective]:
        """The adjectives that fit the noun."""
        return HUMAN_ADJECTIVES if noun.human else THING_ADJECTIVES

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
