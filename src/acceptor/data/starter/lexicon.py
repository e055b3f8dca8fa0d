"""Classes of words, how a word is entered, and the division into three lexicons that share no word.

The words are in ``words``. Nouns and verbs are the content words; each lemma is in only one class, and each
class is divided into a train, a validation and a test part. Adjectives and adverbs, like function words, are
common to all three.

How to write an entry: ``repair`` is regular; ``shelf shelves`` gives the plural; ``bring brought`` gives
past and participle, ``take took taken`` both, ``dig dug dug digging`` the *ing*-form too; ``pick:up``
adds a particle or preposition; ``write wrote written = poem novel`` is a verb with its objects, where
``logo/logos`` gives a plural. Transitive verbs are only those whose object cannot be left out, and
intransitive ones those that take none, so that *Mary repaired* and *Mary sneezed the lamp* are clearly
unacceptable. Strong verbs whose past is a participle too in some dictionaries (*hid*, *showed*) are not used where
the two are told apart.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import Any, Literal

Form = Literal["base", "third", "past", "participle", "ing"]
ObjectClass = Literal["none", "thing", "person"]

VOWELS = "aeiou"
SIBILANTS = ("s", "x", "z", "ch", "sh")

SHARES = {"train": 0.70, "validation": 0.12, "test": 0.18}
"""Each split's part of every word class."""


@dataclass(frozen=True)
class Noun:
    """A count noun.

    Attributes:
        singular: As in *one lamp*.
        plural: As in *two lamps*.
        human: Whether it names people, and so takes their adjectives, verbs and pronouns.
    """

    singular: str
    plural: str
    human: bool


@dataclass(frozen=True)
class Verb:
    """A verb in its five forms.

    Attributes:
        base: *take*.
        third: *takes*.
        past: *took*.
        participle: *taken*.
        ing: *taking*.
        takes: What its object names; ``none`` if it has no bare object.
        particle: The particle (*pick up*) or preposition (*look at*) that belongs to it, or nothing.
    """

    base: str
    third: str
    past: str
    participle: str
    ing: str
    takes: ObjectClass = "none"
    particle: str = ""

    def form(self, name: Form) -> str:
        """The form called ``name``."""
        return str(getattr(self, name))

    def with_object(self, noun_phrase: str) -> Verb:
        """The verb phrase, in the same forms: *take the vase*, *takes the vase*, *took the vase*."""
        base, third, past, participle, ing = (
            f"{form} {noun_phrase}" for form in (self.base, self.third, self.past, self.participle, self.ing)
        )
        return Verb(base, third, past, participle, ing)


@dataclass(frozen=True)
class Activity:
    """A verb with the things that people commonly do it to: *write*, and *poem*, *novel*.

    Attributes:
        verb: The verb.
        objects: Nouns that occur with it alone.
    """

    verb: Verb
    objects: tuple[Noun, ...]


@dataclass(frozen=True)
class Adjective:
    """A gradable adjective: *tall*, *taller*, *tallest*."""

    positive: str
    comparative: str
    superlative: str


@dataclass(frozen=True)
class Lexicon:
    """Content words by class: the whole of them, or one split's part.

    Attributes:
        men: Names of men.
        women: Names of women.
        people: Nouns for people, by what they do or are.
        friends: Nouns for people by what they are to others of either gender: *my neighbor*.
        brothers: The same, for men.
        sisters: The same, for women.
        animals: Nouns for animals.
        things: Nouns for artefacts that can be carried.
        places: Nouns for what people can be in.
        cities: Names of cities.
        mass: Mass nouns.
        transitive_thing: Verbs that need an object, for things.
        transitive_person: Verbs that need an object, for people.
        intransitive: Verbs that allow none.
        actions: Verbs that do without one.
        events: Verbs for what happens to things, without an object.
        activities: Verbs with their objects.
        strong: Verbs whose past and participle differ.
        ditransitive: Verbs with two objects: *give*.
        declarative: Verbs with a *that*-clause, transparent to extraction: *say*.
        responsive: Verbs with a *that*-clause or an embedded question: *know*.
        object_control: Verbs with an object and an infinitive: *force*.
        desire: Verbs with a *to*-infinitive, whatever else they take: *try*.
        infinitival: Verbs with a *to*-infinitive and no gerund: *decide*.
        gerundial: Verbs with a gerund and no *to*-infinitive: *enjoy*.
        particle: Verbs with a particle: *pick up*.
        prepositional: Verbs with a preposition: *look at*.
    """

    men: tuple[str, ...]
    women: tuple[str, ...]
    people: tuple[Noun, ...]
    friends: tuple[Noun, ...]
    brothers: tuple[Noun, ...]
    sisters: tuple[Noun, ...]
    animals: tuple[Noun, ...]
    things: tuple[Noun, ...]
    places: tuple[Noun, ...]
    cities: tuple[str, ...]
    mass: tuple[str, ...]
    transitive_thing: tuple[Verb, ...]
    transitive_person: tuple[Verb, ...]
    intransitive: tuple[Verb, ...]
    actions: tuple[Verb, ...]
    events: tuple[Verb, ...]
    activities: tuple[Activity, ...]
    strong: tuple[Verb, ...]
    ditransitive: tuple[Verb, ...]
    declarative: tuple[Verb, ...]
    responsive: tuple[Verb, ...]
    object_control: tuple[Verb, ...]
    desire: tuple[Verb, ...]
    infinitival: tuple[Verb, ...]
    gerundial: tuple[Verb, ...]
    particle: tuple[Verb, ...]
    prepositional: tuple[Verb, ...]

    def partition(self, rng: random.Random) -> dict[str, Lexicon]:
        """Three lexicons without a common word, by split name; ``rng`` decides which word goes where."""
        parts: dict[str, dict[str, tuple[Any, ...]]] = {split: {} for split in SHARES}
        for field in fields(self):
            words = list(getattr(self, field.name))
            rng.shuffle(words)
            start, share = 0, 0.0
            for split in SHARES:
                share += SHARES[split]
                stop = round(share * len(words))
                parts[split][field.name] = tuple(words[start:stop])
                start = stop
        return {split: Lexicon(**classes) for split, classes in parts.items()}


def add_s(word: str) -> str:
    """The *s*-form, of nouns and verbs alike: *lamps*, *boxes*, *carries*."""
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    return word + ("es" if word.endswith((*SIBILANTS, "o")) else "s")


def add_ed(base: str) -> str:
    """The regular past: *repaired*, *praised*, *identified*."""
    if base.endswith("y") and base[-2] not in VOWELS:
        return base[:-1] + "ied"
    return base + ("d" if base.endswith("e") else "ed")


def add_ing(base: str, past: str) -> str:
    """The *ing*-form; the last consonant is doubled where the past doubles it: *napped*, *napping*."""
    if past == f"{base}{base[-1]}ed":
        return f"{base}{base[-1]}ing"
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith("ee"):
        return base[:-1] + "ing"
    return base + "ing"


def make_noun(entry: str, human: bool) -> Noun:
    """A noun from an entry such as ``lamp``, ``shelf shelves`` or ``logo/logos``."""
    singular, *rest = entry.replace("/", " ").split()
    return Noun(singular, rest[0] if rest else add_s(singular), human)


def make_verb(entry: str, takes: ObjectClass = "none") -> Verb:
    """A verb from an entry such as ``repair``, ``take took taken`` or ``dig:up dug dug digging``."""
    forms, _, particle = entry.partition(":")
    particle, *tail = particle.split() or [""]
    base, *given = [*forms.split(), *tail]
    past = given[0] if given else add_ed(base)
    participle = given[1] if len(given) > 1 else past
    ing = given[2] if len(given) > 2 else add_ing(base, past)
    return Verb(base, add_s(base), past, participle, ing, takes, particle)


def make_adjective(entry: str) -> Adjective:
    """An adjective from an entry such as ``tall taller tallest`` or ``famous`` (*more*, *most*)."""
    positive, *given = entry.split()
    comparative, superlative = given or (f"more {positive}", f"most {positive}")
    return Adjective(positive, comparative, superlative)


def entries(text: str) -> list[str]:
    """The entries of a word list, separated by commas."""
    return [entry.strip() for entry in text.split(",")]


def nouns(text: str, *, human: bool) -> tuple[Noun, ...]:
    """The nouns of a word list."""
    return tuple(make_noun(entry, human) for entry in entries(text))


def verbs(text: str, takes: ObjectClass = "none") -> tuple[Verb, ...]:
    """The verbs of a word list."""
    return tuple(make_verb(entry, takes) for entry in entries(text))


def activities(text: str) -> tuple[Activity, ...]:
    """The activities of a list with semicolons: ``write wrote written = poem novel; paint = fence``."""
    found = []
    for entry in text.split(";"):
        verb, objects = entry.split("=")
        found.append(Activity(make_verb(verb), tuple(make_noun(noun, human=False) for noun in objects.split())))
    return tuple(found)


def adjectives(text: str) -> tuple[Adjective, ...]:
    """The adjectives of a word list."""
    return tuple(make_adjective(entry) for entry in entries(text))


def indefinite(words: str) -> str:
    """The words with *a* or *an* before them."""
    return f"{'an' if words[0] in VOWELS else 'a'} {words}"
