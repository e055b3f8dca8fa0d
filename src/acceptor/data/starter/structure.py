"""Phenomena of structure: the order of phrases, and dependencies between distant words.

Each function draws words and makes one square, two balanced minimal pairs: of frames and forms as in
``forms``, or of one set of words in two orders.
"""

from __future__ import annotations

from acceptor.data.starter.grammar import (
    FINITE,
    NEGATED,
    OBJECTS,
    PAST_AUXILIARIES,
    Pair,
    Square,
    Words,
    cross,
    orders,
)
from acceptor.data.starter.words import MANNER_ADVERBS


def transitivity(w: Words) -> Square:
    """An intransitive verb allows no object, a transitive one cannot do without.

    Nothing is in the progressive: *insulting*, *embarrassing* and their like are adjectives too and need none.
    """
    (transitive, noun), intransitive = w.transitive(), w.intransitive()
    auxiliary, form = w.tense("base", "participle")
    frame = f"{w.someone()} {auxiliary} {{}} _ {w.pick(('', 'again', 'today'))}"
    return cross(
        (frame.format(intransitive.form(form)), ""),
        (frame.format(transitive.form(form)), w.noun_phrase(noun)),
    )


def clausal_complements(w: Words) -> Square:
    """*Hope* takes a *that*-clause, *force* an object and an infinitive."""
    say, force = w.draw(w.lexicon.declarative), w.draw(w.lexicon.object_control)
    speaker, agent, action = w.someone(), w.someone(), w.predicate()
    auxiliary, form = w.pick(FINITE)
    return cross(
        (f"{speaker} {auxiliary} {say.form(form)} _", f"that {agent} would {action.base}"),
        (f"{speaker} {auxiliary} {force.form(form)} _", f"{agent} to {action.base}"),
    )


def infinitive_or_gerund(w: Words) -> Square:
    """*Decide* takes a *to*-infinitive, *enjoy* a gerund."""
    decide, enjoy = w.draw(w.lexicon.infinitival), w.draw(w.lexicon.gerundial)
    (action, noun), agent = w.transitive(), w.someone()
    rest = w.noun_phrase(noun)
    auxiliary, form = w.pick(FINITE)
    return cross(
        (f"{agent} {auxiliary} {decide.form(form)} _ {rest}", f"to {action.base}"),
        (f"{agent} {auxiliary} {enjoy.form(form)} _ {rest}", action.ing),
    )


def wh_movement(w: Words) -> Square:
    """A question word goes with a gap, *that* and the yes/no question with a full clause.

    Nothing is in the progressive, for the reason given under ``transitivity``.
    """
    (verb, noun), agent = w.transitive(), w.someone()
    patient, wh = w.noun_phrase(noun), "who" if noun.human else "what"
    if w.pick((True, False)):
        known = f"{w.someone()} {w.draw(w.lexicon.responsive).past} _ {agent} had {verb.participle}"
        return cross((known, wh), (f"{known} {patient}", "that"))
    auxiliary, form = w.auxiliary("base", "participle")
    asked = w.pick(
        (
            f"{auxiliary} {agent} {verb.form(form)} _?",
            f"did {w.someone()} {w.draw(w.lexicon.declarative).base} that {agent} had {verb.participle} _?",
        )
    )
    return cross((f"{wh} {asked}", ""), (asked, patient))


def islands(w: Words) -> Square:
    """Nothing moves out of an adjunct, a relative clause or one half of a coordination."""
    if w.pick((True, True, False)):
        first, second = w.two((_adjunct_island, _subject_relative_island, _object_relative_island))
        return first(w), second(w)
    (verb, noun), agent = w.transitive(), w.someone()
    wh, other = ("who", w.person()) if noun.human else ("what", w.thing())
    return cross(
        (f"{wh} did {agent} {verb.base} _?", ""),
        (f"{agent} {verb.past} both the {noun.singular} _", f"and the {other.singular}"),
    )


def _adjunct_island(w: Words) -> Pair:
    """The gap is in the main clause, or within an adverbial clause."""
    object_class = w.pick(OBJECTS)
    (main, asked), (inner, noun) = w.transitive(object_class), w.transitive(object_class)
    question, kept = f"which {asked.singular} did {w.someone()} {main.base}", w.noun_phrase(noun)
    clause = f"{w.pick(('before', 'after', 'because', 'while'))} {w.someone()} {inner.past}"
    return orders(f"{question} {clause} {kept}?", f"{question} {kept} {clause}?")


def _subject_relative_island(w: Words) -> Pair:
    """The gap is in the main clause, or within the relative clause on its subject."""
    object_class = w.pick(OBJECTS)
    (main, asked), (inner, noun) = w.transitive(object_class), w.transitive(object_class)
    question = f"which {asked.singular} did the {w.person().singular} who {inner.past}"
    kept = w.noun_phrase(noun)
    return orders(f"{question} {kept} {main.base}?", f"{question} {main.base} {kept}?")


def _object_relative_island(w: Words) -> Pair:
    """The whole object moves, or something out of the relative clause on it."""
    (inner, noun), (main, head) = w.transitive(), w.transitive("person")
    agent = w.someone()
    return orders(
        f"which {head.singular} who {inner.past} the {noun.singular} did {agent} {main.base}?",
        f"which {noun.singular} did {agent} {main.base} the {head.singular} who {inner.past}?",
    )


def relative_clauses(w: Words) -> Square:
    """People are *who* and things *which*; a relative clause has a gap, not one more pronoun."""
    return w.pick((_who_and_which, _gap_and_pronoun))(w)


def _who_and_which(w: Words) -> Square:
    """The teacher *who*, but the lamp *which*."""
    (verb, thing), person = w.transitive("thing"), w.person()
    wise, old = w.adjective(person).positive, w.adjective(thing).positive
    return cross(
        (f"the {person.singular} _ {verb.past} {w.noun_phrase(w.thing())} was {wise}", "who"),
        (f"the {thing.singular} _ {w.someone()} {verb.past} was {old}", "which"),
    )


def _gap_and_pronoun(w: Words) -> Square:
    """*The lamp that John fixed* has a gap, *because it was old, John fixed it* none."""
    (verb, noun), agent = w.transitive(), w.someone()
    adjective = w.adjective(noun).positive
    many, one = (noun.plural, "were", "them"), (noun.singular, "was", "it")
    subject, be, pronoun = many if noun.human else w.pick((many, one))
    return cross(
        (f"the {subject} that {agent} {verb.past} _ {be} {adjective}", ""),
        (f"because the {subject} {be} {adjective}, {agent} {verb.past} _", pronoun),
    )


def word_order(w: Words) -> Square:
    """Questions invert and embedded ones do not; adverbs and light pronouns have their places."""
    return w.pick((_inversion, _particles, _adverbs))(w)


def _inversion(w: Words) -> Square:
    """*Which lamp will John fix?*, but *which lamp John will fix* after *know*."""
    (verb, noun), agent, knower = w.transitive(), w.someone(), w.someone()
    auxiliary, form = w.pick(PAST_AUXILIARIES)
    inverted = f"which {noun.singular} {auxiliary} {agent} {verb.form(form)}"
    direct = f"which {noun.singular} {agent} {auxiliary} {verb.form(form)}"
    known = f"{knower} {w.draw(w.lexicon.responsive).past}"
    return orders(f"{inverted}?", f"{direct}?"), orders(f"{known} {direct}", f"{known} {inverted}")


def _particles(w: Words) -> Square:
    """A pronoun stands before a particle (*pick it up*), but after a preposition (*look at it*)."""
    auxiliary, form = w.tense()
    pick, look = w.draw(w.lexicon.particle), w.draw(w.lexicon.prepositional)
    pronoun, subject = w.pick(("it", "them")), f"{w.someone()} {auxiliary}"
    pick_form, look_form = f"{subject} {pick.form(form)}", f"{subject} {look.form(form)}"
    return (
        orders(f"{pick_form} {pronoun} {pick.particle}", f"{pick_form} {pick.particle} {pronoun}"),
        orders(f"{look_form} {look.particle} {pronoun}", f"{look_form} {pronoun} {look.particle}"),
    )


def _adverbs(w: Words) -> Square:
    """No adverb comes between a verb, or its preposition, and the object."""
    (verb, noun), look, adverb = w.transitive(), w.draw(w.lexicon.prepositional), w.pick(MANNER_ADVERBS)
    agent, verb_object, look_object = w.someone(), f"the {noun.singular}", f"the {w.thing().singular}"
    auxiliary, form = w.tense()
    subject = f"{agent} {auxiliary}"
    return (
        orders(
            f"{subject} {adverb} {verb.form(form)} {verb_object}",
            f"{subject} {verb.form(form)} {adverb} {verb_object}",
        ),
        orders(
            f"{subject} {look.form(form)} {adverb} {look.particle} {look_object}",
            f"{subject} {look.form(form)} {look.particle} {adverb} {look_object}",
        ),
    )


def negative_polarity(w: Words) -> Square:
    """*Ever* needs a negation that commands it; *and so has Mary* cannot bear one."""
    return w.pick((_negated_subject, _negated_clause, _no_and_any))(w)


def _negated_subject(w: Words) -> Square:
    """The negation belongs to the subject, or sits within its relative clause."""
    head, inner, verb = w.person().singular, w.person().plural, w.transitive("person")[0].past
    has, action = w.pick(("has", "had")), w.predicate().participle
    negative, distant = f"no {head} who the {inner} {verb} {has}", f"the {head} who no {inner} {verb} {has}"
    polar = w.pick((f"ever {action}", f"{action} yet", f"{action} at all"))
    positive = f"{action}, and so {has} {w.someone()}"
    return (
        orders(f"{negative} {polar}", f"{distant} {polar}"),
        orders(f"{distant} {positive}", f"{negative} {positive}"),
    )


def _negated_clause(w: Words) -> Square:
    """The negation is in the main clause, or in the clause below."""
    speaker, agent, participle = w.someone(), w.someone(), w.draw(w.lexicon.declarative).participle
    has, action = w.pick(("has", "had")), w.predicate().base
    subject, clause = f"{speaker} {has}", f"{participle} that {agent} would"
    positive = f"{action}, and so {has} {w.someone()}"
    return (
        orders(f"{subject} not {clause} ever {action}", f"{subject} ever {clause} not {action}"),
        orders(f"{subject} {clause} not {positive}", f"{subject} not {clause} {positive}"),
    )


def _no_and_any(w: Words) -> Square:
    """*Any* stands below *no*: in the object where *no* is in the subject, and not the other way round."""
    has = w.pick(("has", "had"))

    def pair() -> Pair:
        agent, (verb, noun) = w.person().singular, w.transitive()
        _, plural = w.modified(noun)
        action = f"{agent} {has} {verb.participle}"
        return orders(f"no {action} any {plural}", f"any {action} no {plural}")

    return pair(), pair()


def ellipsis(w: Words) -> Square:
    """What answers a clause has its polarity (*so*, *neither*), auxiliary and subject (*hasn't she?*)."""
    return w.pick((_so_and_neither, _tag_subject, _tag_auxiliary))(w)


def _so_and_neither(w: Words) -> Square:
    """*So has John* after a positive clause, *neither has John* after a negative one."""
    auxiliary, form = w.auxiliary()
    first, second, action = w.someone(), w.someone(), w.predicate().form(form)
    return cross(
        (f"{first} {auxiliary} {action}, and _ {auxiliary} {second}", "so"),
        (f"{first} {auxiliary} not {action}, and _ {auxiliary} {second}", "neither"),
    )


def _tag_subject(w: Words) -> Square:
    """The tag's pronoun is that of the subject: for *Mary*, not *won't he?* but *won't she?*."""
    auxiliary, form = w.auxiliary()
    rest = f"{auxiliary} {w.predicate().form(form)}, {NEGATED[auxiliary]} _?"
    return cross((f"{w.man()} {rest}", "he"), (f"{w.woman()} {rest}", "she"))


def _tag_auxiliary(w: Words) -> Square:
    """The tag's auxiliary is that of the clause: for *she has smiled*, not *won't* but *hasn't*."""
    name, pronoun = w.pick(((w.man(), "he"), (w.woman(), "she")))
    action = w.predicate()
    clause_a, clause_b = w.two(
        (
            (f"will {action.base}", "won't"),
            (f"has {action.participle}", "hasn't"),
            (f"is {action.ing}", "isn't"),
            (action.past, "didn't"),
        )
    )
    return cross(
        (f"{name} {clause_a[0]}, _ {pronoun}?", clause_a[1]),
        (f"{name} {clause_b[0]}, _ {pronoun}?", clause_b[1]),
    )
