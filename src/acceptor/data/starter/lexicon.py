"""The words of the starter corpus, by class, and their division into three lexicons that share none.

Nouns and verbs are the content words; each lemma is in only one class, and each class is divided into a
train, a validation and a test part. Adjectives and adverbs, like function words, are common to all three.

How to write an entry: ``repair`` is regular; ``shelf shelves`` gives the plural; ``bring brought`` gives
past and participle, ``take took taken`` both, ``dig dug dug digging`` the *ing*-form too; ``pick:up``
adds a particle or preposition. Transitive verbs are only those whose object cannot be left out, and
intransitive ones those that take none, so that *Mary repaired* and *Mary sneezed the lamp* are clearly
unacceptable.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import Any, Literal

Form = Literal["base", "third", "past", "participle", "ing"]
ObjectClass = Literal["none", "thing", "person"]

VOWELS = "aeiou"
SIBILANTS = ("s", "x", "z", "ch", "sh")

SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
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
        people: Nouns for people of either gender.
        things: Nouns for artefacts that can be carried.
        mass: Mass nouns.
        transitive_thing: Verbs that need an object, for things.
        transitive_person: Verbs that need an object, for people.
        intransitive: Verbs that allow none.
        strong: Verbs whose past and participle differ.
        declarative: Verbs with a *that*-clause, transparent to extraction: *say*.
        responsive: Verbs with a *that*-clause or an embedded question: *know*.
        object_control: Verbs with an object and an infinitive: *force*.
        infinitival: Verbs with a *to*-infinitive and no gerund: *decide*.
        gerundial: Verbs with a gerund and no *to*-infinitive: *enjoy*.
        particle: Verbs with a particle: *pick up*.
        prepositional: Verbs with a preposition: *look at*.
    """

    men: tuple[str, ...]
    women: tuple[str, ...]
    people: tuple[Noun, ...]
    things: tuple[Noun, ...]
    mass: tuple[str, ...]
    transitive_thing: tuple[Verb, ...]
    transitive_person: tuple[Verb, ...]
    intransitive: tuple[Verb, ...]
    strong: tuple[Verb, ...]
    declarative: tuple[Verb, ...]
    responsive: tuple[Verb, ...]
    object_control: tuple[Verb, ...]
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
    """A noun from an entry such as ``lamp`` or ``shelf shelves``."""
    singular, *rest = entry.split()
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


def adjectives(text: str) -> tuple[Adjective, ...]:
    """The adjectives of a word list."""
    return tuple(make_adjective(entry) for entry in entries(text))


def indefinite(words: str) -> str:
    """The words with *a* or *an* before them."""
    return f"{'an' if words[0] in VOWELS else 'a'} {words}"


ENGLISH = Lexicon(
    men=tuple(
        entries("""
        Andrew, Anthony, Brian, Charles, Daniel, David, Edward, Eric, George, Henry, James, John,
        Kevin, Martin, Matthew, Michael, Paul, Peter, Philip, Richard, Robert, Simon, Stephen,
        Thomas, William""")
    ),
    women=tuple(
        entries("""
        Alice, Anna, Barbara, Catherine, Diana, Elizabeth, Emily, Emma, Helen, Jane, Judith, Julia,
        Karen, Laura, Linda, Margaret, Martha, Mary, Nancy, Rachel, Rebecca, Sarah, Susan, Teresa,
        Victoria""")
    ),
    people=nouns(
        """
        accountant, architect, artist, author, baker, banker, barber, biologist, butcher, carpenter,
        chemist, clerk, cousin, customer, dancer, dentist, detective, doctor, driver, editor,
        engineer, farmer, gardener, governor, guest, hunter, journalist, lawyer, librarian, manager,
        mechanic, musician, nurse, painter, pilot, plumber, poet, professor, sailor, scientist,
        senator, singer, soldier, student, surgeon, tailor, teacher, tourist""",
        human=True,
    ),
    things=nouns(
        """
        basket, bell, bicycle, blanket, book, bottle, box, bracelet, brush, bucket, camera, candle,
        chair, clock, coin, cup, cushion, desk, dish, drum, envelope, flag, flute, glove, guitar,
        hammer, hat, helmet, jacket, kettle, key, knife knives, ladder, lamp, lantern, map, mirror,
        necklace, parcel, pillow, plate, rope, rug, scarf scarves, shelf shelves, shovel, spoon,
        statue, suitcase, sword, tent, ticket, toy, trophy, umbrella, vase, violin, wallet""",
        human=False,
    ),
    mass=tuple(
        entries("""
        furniture, luggage, equipment, rice, sugar, flour, sand, milk, butter, bread, salt, gold,
        soap, wool, leather, clay, gravel, hay, cement, mud, gasoline, money, homework, software,
        knowledge, patience, courage, advice, information, evidence""")
    ),
    transitive_thing=verbs(
        """
        repair, damage, destroy, describe, discard, inspect, fetch, mention, obtain, conceal,
        display, retrieve, restore, locate, seize, replace, remove, acquire, identify, ruin,
        confiscate, modify, salvage, fix, grab grabbed, bring brought, make made, uncover,
        request, reject, examine, appraise, misuse, reclaim, relinquish""",
        "thing",
    ),
    transitive_person=verbs(
        """
        blame, praise, admire, insult, embarrass, injure, protect, comfort, console, disgrace,
        flatter, humiliate, introduce, ridicule, betray, distract, soothe, reassure, torment,
        frighten, discredit, underestimate, undermine, rescue, incriminate, commend, congratulate,
        belittle, reprimand, exonerate, misjudge, slander""",
        "person",
    ),
    intransitive=verbs("""
        arrive, sneeze, vanish, sleep slept, laugh, cough, smile, yawn, snore, tremble, faint,
        blush, shiver, giggle, frown, sigh, weep wept, stumble, sob sobbed, hesitate, disappear,
        perspire, chuckle, swoon, slouch, crouch, loiter, linger, doze, limp, meditate, misbehave,
        procrastinate, grin grinned, shudder, snooze, nap napped, kneel knelt, apologize"""),
    strong=(
        *verbs(
            """
            choose chose chosen, draw drew drawn, shake shook shaken, steal stole stolen,
            take took taken, throw threw thrown, see saw seen""",
            "thing",
        ),
        *verbs(
            """
            forgive forgave forgiven, forsake forsook forsaken, outdo outdid outdone,
            oversee oversaw overseen, overtake overtook overtaken""",
            "person",
        ),
        *verbs("""
            come came come, drive drove driven, eat ate eaten, fall fell fallen, fly flew flown,
            freeze froze frozen, go went gone, misspeak misspoke misspoken,
            overeat overate overeaten, ride rode ridden, run ran run running, sing sang sung,
            speak spoke spoken, swear swore sworn, swim swam swum swimming,
            withdraw withdrew withdrawn, write wrote written"""),
    ),
    declarative=verbs("""
        say said, think thought, claim, suggest, hope, suspect, conclude, assert, argue, fear,
        guess, insist, state, imply, infer inferred, deduce"""),
    responsive=verbs("""
        know knew known, remember, discover, reveal, explain, notice, learn, realize, recall,
        confirm, disclose, forget forgot forgotten forgetting, hear heard, understand understood"""),
    object_control=verbs("""
        want, force, persuade, encourage, enable, compel compelled, invite, permit permitted, tempt,
        oblige, train, hire, inspire, motivate, coax, pressure, convince, help, remind, bribe,
        entice, nudge"""),
    infinitival=verbs("""
        decide, agree, refuse, promise, manage, wish, offer, pretend, threaten, vow, aim,
        strive strove striven, consent, volunteer, decline, pledge, seek sought"""),
    gerundial=verbs("""
        enjoy, avoid, finish, postpone, resist, abandon, risk, resume, consider, deny, contemplate,
        relish, resent, discontinue, keep kept"""),
    particle=verbs("""
        pick:up, put:down put put putting, hand:over, send:back sent, hang:up hung,
        set:aside set set setting, clear:away, toss:away, point:out, push:aside, carry:off,
        haul:away, tie:up, lock:up, pack:up, trade:in, track:down, dig:up dug dug digging, dust:off"""),
    prepositional=verbs("""
        look:at, stare:at, glance:at, gaze:at, peer:at, sneer:at, wait:for, care:for, long:for,
        vouch:for, rely:on, depend:on, comment:on, deal:with dealt, cope:with, tamper:with,
        experiment:with, talk:about, worry:about, complain:about, joke:about, dispose:of"""),
)
"""Every content word of the corpus."""

HUMAN_ADJECTIVES = adjectives("""
    tall taller tallest, short shorter shortest, young younger youngest, old older oldest,
    kind kinder kindest, clever, brave braver bravest, strong stronger strongest,
    rich richer richest, lazy lazier laziest, polite, careful, patient, famous, generous, ambitious,
    intelligent""")
THING_ADJECTIVES = adjectives("""
    old older oldest, new newer newest, small smaller smallest, large larger largest,
    heavy heavier heaviest, cheap cheaper cheapest, strange stranger strangest, ugly uglier ugliest,
    dirty dirtier dirtiest, expensive, beautiful, elegant, unusual, valuable""")
MANNER_ADVERBS = entries("""
    calmly, carefully, eagerly, happily, nervously, openly, patiently, quickly, quietly,
    reluctantly, secretly, slowly, suddenly""")
PAST_TIMES = entries("yesterday, last night, last week, last month, two days ago")
FUTURE_TIMES = entries("tomorrow, tomorrow morning, next week, next month, next year")
