"""More phenomena of everyday sentences: pronouns, order, degrees, polarity, relative clauses."""

from __future__ import annotations

from acceptor.data.starter.grammar import OWNERS, Pair, Square, Words, cross, orders
from acceptor.data.starter.words import PAST_TIMES

CASES = (("he", "him"), ("she", "her"), ("they", "them"), ("I", "me"), ("we", "us"))


def object_pronouns(w: Words) -> Square:
    """Objects of verbs and prepositions are accusative, also where two objects follow: *gave him a lamp*."""
    nominative, accusative = w.pick(CASES)
    giver, taker, thing = w.someone(), w.someone(), w.own(w.thing())
    give = w.draw(w.lexicon.ditransitive)
    form, helper = w.pick(((give.past, ""), (give.base, "will"), (give.base, "can"), (give.base, "didn't")))
    acted, whom = w.action().past, w.pick(("with", "without", "for", "near", "behind"))
    look = w.draw(w.lexicon.prepositional)
    return w.one_of(
        lambda: cross(
            (f"{giver} {helper} {form} _ {thing}", accusative), (f"_ {helper} {form} {taker} {thing}", nominative)
        ),
        lambda: cross(
            (f"{giver} {helper} {form} {thing} to _", accusative),
            (f"_ {helper} {form} {thing} to {taker}", nominative),
        ),
        lambda: cross((f"{giver} {acted} {whom} _", accusative), (f"_ {acted} {whom} {taker}", nominative)),
        lambda: cross(
            (f"{giver} {look.past} {look.particle} _", accusative),
            (f"_ {look.past} {look.particle} {taker}", nominative),
        ),
        lambda: _owner(w),
    )


def _owner(w: Words) -> Square:
    """*My brother*, but *thanked me*."""
    possessive, accusative = w.pick((("my", "me"), ("our", "us"), ("their", "them")))
    noun = w.relative()[1].singular
    verb = w.transitive("person")[0]
    first, second = w.pick(
        (
            (f"_ {noun} {w.deed().past}", f"{w.someone()} {verb.past} _"),
            (f"{w.someone()} {verb.past} _ {noun}", f"{w.someone()} {w.transitive('person')[0].past} _ again"),
        )
    )
    return cross((first, possessive), (second, accusative))


def everyday_reflexives(w: Words) -> Square:
    """A reflexive has the person, number and gender of its subject: *my aunt hurt herself*."""
    man = w.pick(("he", w.man(), f"{w.pick(OWNERS)} {w.draw(w.lexicon.brothers).singular}"))
    woman = w.pick(("she", w.woman(), f"{w.pick(OWNERS)} {w.draw(w.lexicon.sisters).singular}"))
    group = w.pick(("they", f"the {w.person().plural}", f"{w.pick(OWNERS)} {w.draw(w.lexicon.friends).plural}"))
    third = ((man, "was", "himself"), (woman, "was", "herself"), (group, "were", "themselves"))
    every = (*third, ("we", "were", "ourselves"), ("I", "was", "myself"))
    (one, be_one, form_one), (other, be_other, form_other) = w.two(w.pick((third, every)))
    if w.pick((True, False, False)):
        about = w.pick(("ashamed of", "angry with", "pleased with", "disappointed in", "sure of", "happy with"))
        return cross((f"{one} {be_one} {about} _", form_one), (f"{other} {be_other} {about} _", form_other))
    give, look, verb = w.draw(w.lexicon.ditransitive), w.draw(w.lexicon.prepositional), w.transitive("person")[0]
    rest = w.pick(
        (
            f"{verb.past} _ {w.pick(('', 'again', *PAST_TIMES))}",
            f"{w.pick(('will', 'can', 'should', 'had to'))} {verb.base} _",
            f"{look.past} {look.particle} _",
            f"{give.past} _ {w.own(w.thing())}",
        )
    )
    return cross((f"{one} {rest}", form_one), (f"{other} {rest}", form_other))


def phrase_order(w: Words) -> Square:
    """Articles and adjectives precede nouns, adverbs of frequency verbs, prepositions their objects."""
    first, second = w.two((_article, _attribute, _object, _frequency, _negation, _preposition, _degree_word))
    return first(w), second(w)


def _article(w: Words) -> Pair:
    """*Bought the lamp*, not *bought lamp the*."""
    (verb, noun), agent = w.activity(), w.one_or_many()
    article, end = w.pick(("the", "this", "my", "her", "our")), w.pick(("", w.pick(PAST_TIMES)))
    return orders(
        f"{agent} {verb.past} {article} {noun.singular} {end}", f"{agent} {verb.past} {noun.singular} {article} {end}"
    )


def _attribute(w: Words) -> Pair:
    """*The old lamp*, not *the lamp old*."""
    noun = w.one_of(w.thing, w.person)
    adjective = w.adjective(noun).positive
    end = w.pick(("was here", "was there", "is upstairs", f"is in the {w.building()}"))
    article = w.pick(("the", "this", "my", "every"))
    return orders(f"{article} {adjective} {noun.singular} {end}", f"{article} {noun.singular} {adjective} {end}")


def _object(w: Words) -> Pair:
    """*Wrote the poem*, not *the poem wrote*."""
    (verb, noun), agent = w.activity(), w.one_or_many()
    helper, form = w.pick((("", verb.past), ("will", verb.base), ("didn't", verb.base)))
    thing = f"the {noun.singular}"
    return orders(f"{agent} {helper} {form} {thing}", f"{agent} {helper} {thing} {form}")


def _frequency(w: Words) -> Pair:
    """*Always drinks tea*, not *drinks always tea*."""
    (verb, noun), agent = w.activity(), w.one()
    adverb, thing = w.pick(("always", "often", "never", "usually", "rarely", "sometimes")), f"the {noun.singular}"
    return orders(f"{agent} {adverb} {verb.third} {thing}", f"{agent} {verb.third} {adverb} {thing}")


def _negation(w: Words) -> Pair:
    """*Was not late*, not *not was late*."""
    subject, be = w.pick(((w.one(), w.pick(("is", "was"))), (w.many(), w.pick(("are", "were")))))
    deed = w.deed()
    helper, rest = w.pick(
        ((be, deed.ing), ("will", deed.base), ("should", deed.base), (be, f"at home {w.pick(('', 'today'))}"))
    )
    return orders(f"{subject} {helper} not {rest}", f"{subject} not {helper} {rest}")


def _preposition(w: Words) -> Pair:
    """*In the garden*, not *the garden in*."""
    agent, action = w.one_or_many(), w.action()
    preposition, place = w.pick(("in", "near", "behind")), w.building()
    bad = w.pick((f"the {place} {preposition}", f"the {preposition} {place}"))
    return orders(f"{agent} {action.past} {preposition} the {place}", f"{agent} {action.past} {bad}")


def _degree_word(w: Words) -> Pair:
    """*Very old*, but *old enough*."""
    noun = w.one_of(w.thing, w.person)
    adjective, end = w.adjective(noun).positive, w.pick(("", "for us", "today"))
    good, bad = w.pick(((f"very {adjective}", f"{adjective} very"), (f"{adjective} enough", f"enough {adjective}")))
    return orders(f"the {noun.singular} was {good} {end}", f"the {noun.singular} was {bad} {end}")


def degrees(w: Words) -> Square:
    """*Taller* needs no *more* and takes *much*; *careful* needs *more*, *tall* takes *very*."""
    noun = w.one_of(w.person, w.thing)
    one = w.one() if noun.human else f"{w.pick(('this', 'my', 'the'))} {noun.singular}"
    two = w.someone() if noun.human else f"{w.pick(('that', 'your', 'the other'))} {w.another(noun).singular}"
    short = w.pick([a for a in w.adjectives(noun) if not a.comparative.startswith("more ")])
    long = w.pick([a for a in w.adjectives(noun) if a.comparative.startswith("more ")])
    be = w.pick(("is", "was"))
    rivals = w.pick(("all", "them all"))
    return w.pick(
        (
            cross(
                (f"{one} {be} _ {short.comparative} than {two}", ""),
                (f"{one} {be} _ {long.positive} than {two}", "more"),
            ),
            cross(
                (f"{one} {be} the _ {short.superlative} of {rivals}", ""),
                (f"{one} {be} the _ {long.positive} of {rivals}", "most"),
            ),
            cross((f"{one} {be} _ {short.comparative} than {two}", "much"), (f"{one} {be} _ {long.positive}", "very")),
        )
    )


def any_and_ever(w: Words) -> Square:
    """*Any* and *ever* need a negation; *and so did Mary* and *too* cannot bear one."""
    (verb, noun), agent, other = w.activity(), w.one_of(w.someone, lambda: w.pick(("he", "she"))), w.someone()
    some = w.own(noun)
    deed = w.deed()
    mass = w.draw(w.lexicon.mass)
    return w.one_of(
        lambda: cross(
            (f"{agent} _ any {noun.plural}", f"didn't {verb.base}"),
            (f"{agent} _ {some}, and so did {other}", verb.past),
        ),
        lambda: cross(
            (f"{agent} _ any{w.pick(('thing', 'thing at all', 'thing else'))}", f"didn't {verb.base}"),
            (f"{agent} _ something, and so did {other}", verb.past),
        ),
        lambda: cross((f"{agent} _ any {mass}", "doesn't have"), (f"{agent} _ {some}, and so does {other}", "has")),
        lambda: cross(
            (f"_ {verb.past} any {noun.plural}", "nobody"),
            (f"_ {verb.past} {some}, and so did {other}", "somebody"),
        ),
        lambda: cross(
            (f"{agent} _ ever {deed.participle}", "hasn't"),
            (f"{agent} _ {deed.participle}, and so has {other}", "has"),
        ),
        lambda: cross(
            (f"{agent} didn't {deed.base}, and {other} didn't _", "either"),
            (f"{agent} {deed.past}, and {other} did _", "too"),
        ),
    )


def subject_relatives(w: Words) -> Square:
    """A relative clause on its subject has no other one: *the man who works here*, not *who he works here*."""
    person, deed, pronoun = w.person().singular, w.deed(), w.pick(("he", "she"))
    adjective, other = w.trait(), w.person().singular
    say, who = w.draw(w.lexicon.declarative).past, w.pick(("who", "that"))
    verb, noun = w.activity()
    return w.pick(
        (
            cross(
                (f"the {person} {who} _ {deed.past} was {adjective}", ""),
                (f"the {other} {say} that _ {deed.past}", pronoun),
            ),
            cross(
                (f"{w.one()} {w.transitive('person')[0].past} the {person} {who} _ {deed.past}", ""),
                (f"the {other} {say} that _ {deed.past}", pronoun),
            ),
            cross(
                (f"the {person} _ {deed.past} was {adjective}", "who"),
                (f"the {noun.singular} _ the {other} {verb.past} was the wrong one", "which"),
            ),
        )
    )
