"""The phenomena: for each a function that draws words and makes one square, two balanced minimal pairs.

In a frame, ``_`` is the slot; the form beside the frame is the right one there, and the other frame's is the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable

from acceptor.data.starter.grammar import AUXILIARIES, Pair, Square, Words, cross, orders
from acceptor.data.starter.lexicon import FUTURE_TIMES, MANNER_ADVERBS, PAST_TIMES, Form

Phenomenon = Callable[[Words], Square]

PHENOMENA: dict[str, Phenomenon] = {}
"""Every phenomenon by its name, in the order of this file."""


def phenomenon(function: Phenomenon) -> Phenomenon:
    """Enter the function into ``PHENOMENA`` under its own name."""
    PHENOMENA[function.__name__] = function
    return function


# Agreement


@phenomenon
def subject_verb_agreement(w: Words) -> Square:
    """The verb agrees with the head of the subject, not with the noun that stands nearer."""
    verb, head = w.transitive()
    other = w.person() if head.human else w.thing()
    admirer = w.person()
    preposition = w.pick(("near", "behind", "beside", "next to", "in front of"))
    singular_modifier, plural_modifier = w.pick(
        (
            (f"{preposition} the {other.singular}", f"{preposition} the {other.plural}"),
            (f"that the {admirer.singular} {verb.past}", f"that the {admirer.plural} {verb.past}"),
        )
    )
    adjective = w.adjective(head).positive
    endings = [("is", "are", adjective), ("was", "were", adjective), ("has", "have", f"never been {adjective}")]
    if head.human:
        action = w.intransitive()
        endings += [(action.third, action.base, ""), ("has", "have", action.participle)]
    third, plain, rest = w.pick(endings)
    return cross(
        (f"the {head.singular} {plural_modifier} _ {rest}", third),
        (f"the {head.plural} {singular_modifier} _ {rest}", plain),
    )


@phenomenon
def determiner_noun_agreement(w: Words) -> Square:
    """A determiner has the number of its noun: *this lamp*, *these lamps*."""
    verb, noun = w.transitive()
    agent = w.someone()
    one, many = w.pick(
        (
            ("this", "these"),
            ("that", "those"),
            ("every", "several"),
            ("each", "both"),
            ("another", "many"),
            ("one", "two"),
        )
    )
    singular, plural = w.modified(noun)
    frame = w.pick(
        (
            f"{agent} {verb.past} _ {{}}",
            f"{agent} had never {verb.participle} _ {{}}",
            f"_ {{}} could be {verb.participle} by {agent}",
        )
    )
    return cross((frame.format(singular), one), (frame.format(plural), many))


@phenomenon
def mass_and_count(w: Words) -> Square:
    """Mass nouns go with *much* and *that*, plural nouns with *many* and *those*."""
    owner, mass, plural = w.someone(), w.draw(w.lexicon.mass), w.thing().plural
    much_many = ("much", "many")
    frame, (form_of_mass, form_of_count) = w.pick(
        (
            (f"{owner} has too _ {{}}", much_many),
            (f"{owner} did not have _ {{}}", much_many),
            (f"how _ {{}} does {owner} have?", much_many),
            (f"{w.someone()} had as _ {{}} as {owner}", much_many),
            (f"{owner} had so _ {{}} that {w.someone()} {w.intransitive().past}", much_many),
            (f"{owner} has all _ {{}}", ("that", "those")),
        )
    )
    return cross((frame.format(mass), form_of_mass), (frame.format(plural), form_of_count))


# Pronouns


@phenomenon
def reflexives(w: Words) -> Square:
    """A reflexive agrees with the subject of its own clause."""
    verb, _ = w.transitive(("person",))
    plural = f"the {w.person().plural}"
    (first, form_a), (second, form_b) = w.two(
        (
            (w.man(), "himself"),
            (w.woman(), "herself"),
            (plural, w.pick(("themselves", "each other"))),
        )
    )
    near, far = w.pick(
        (
            ("{0} {past} _", "{1} {past} _"),
            ("{1} {said} that {0} had {participle} _", "{0} {said} that {1} had {participle} _"),
            ("{0}, who {1} {smiled_at}, {past} _", "{1}, who {0} {smiled_at}, {past} _"),
        )
    )
    said, smiled_at = w.draw(w.lexicon.declarative).past, w.transitive(("person",))[0].past
    words = {"past": verb.past, "participle": verb.participle, "said": said, "smiled_at": smiled_at}
    return cross(
        (near.format(first, second, **words), form_a),
        (far.format(first, second, **words), form_b),
    )


@phenomenon
def pronoun_case(w: Words) -> Square:
    """Subjects are nominative, objects accusative; *my* stands before a noun, *mine* alone."""
    if w.pick((True, True, False)):
        nominative, accusative = w.pick((("he", "him"), ("she", "her"), ("they", "them"), ("I", "me"), ("we", "us")))
        other, verb = w.someone(), w.transitive(("person",))[0]
        frame = w.pick(
            (
                f"{{}} {verb.past} {{}}",
                f"{{}} will {verb.base} {{}}",
                f"{w.someone()} {w.draw(w.lexicon.declarative).past} that {{}} had {verb.participle} {{}}",
            )
        )
        return cross((frame.format("_", other), nominative), (frame.format(other, "_"), accusative))
    dependent, alone = w.pick((("my", "mine"), ("our", "ours"), ("their", "theirs"), ("your", "yours")))
    verb, noun = w.transitive(("thing",))
    singular, _ = w.modified(noun)
    return cross(
        (f"{w.someone()} {verb.past} _ {singular}", dependent),
        (f"the {singular} that {w.someone()} {verb.past} was _", alone),
    )


# Quantifiers and polarity


@phenomenon
def existential_there(w: Words) -> Square:
    """*There was* takes a weak quantifier; *almost* modifies a universal one."""
    verb, noun = w.transitive()
    singular, plural = w.modified(noun)
    be, phrase, weak, strong = w.pick(
        (
            ("was", singular, "another", "every"),
            ("were", plural, "several", "all the"),
            ("were", plural, "many", "all the"),
            ("were", plural, "some", "all the"),
            ("were", plural, "a few", "all the"),
        )
    )
    place = f"{w.pick(('near', 'behind', 'beside', 'in front of'))} the {w.thing().singular}"
    almost = w.pick(("almost", "nearly", "virtually", "practically"))
    return cross(
        (f"there {be} _ {phrase} {place}", weak),
        (f"{w.someone()} {verb.past} {almost} _ {phrase}", strong),
    )


@phenomenon
def negative_polarity(w: Words) -> Square:
    """*Ever*, *any*, *yet* and *at all* need a negation that commands them; one lower or later is no use."""
    first, second = w.two((_negated_subject, _negated_main_clause, _negation_before_any))
    return first(w), second(w)


def _negated_subject(w: Words) -> Pair:
    """The negation belongs to the subject, or sits within its relative clause."""
    head, inner, verb, action = w.person().singular, w.person().plural, w.transitive(("person",))[0], w.predicate()
    rest = w.pick(
        (
            f"has ever {action.participle}",
            f"will ever {action.base}",
            f"has {action.participle} yet",
            f"{w.intransitive().past} at all",
        )
    )
    return orders(
        f"no {head} who the {inner} {verb.past} {rest}",
        f"the {head} who no {inner} {verb.past} {rest}",
    )


def _negated_main_clause(w: Words) -> Pair:
    """The negation is in the clause above *ever*, or in the clause below it."""
    speaker, agent, said, action = w.someone(), w.someone(), w.draw(w.lexicon.declarative), w.predicate()
    has = w.pick(("has", "had"))
    return orders(
        f"{speaker} {has} not {said.participle} that {agent} would ever {action.base}",
        f"{speaker} {has} ever {said.participle} that {agent} would not {action.base}",
    )


def _negation_before_any(w: Words) -> Pair:
    """*No* is the subject's and *any* the object's, or the other way round."""
    agent, (verb, noun), has = w.person().singular, w.transitive(), w.pick(("has", "had"))
    _, plural = w.modified(noun)
    return orders(
        f"no {agent} {has} {verb.participle} any {plural}",
        f"any {agent} {has} {verb.participle} no {plural}",
    )


# The verb and its complements


@phenomenon
def transitivity(w: Words) -> Square:
    """An intransitive verb allows no object, a transitive one cannot do without."""
    (transitive, noun), intransitive = w.transitive(), w.intransitive()
    auxiliary, form = w.pick((w.auxiliary(), ("", "past")))
    frame = f"{w.someone()} {auxiliary} {{}} _ {w.pick(('', 'again', 'today'))}"
    return cross(
        (frame.format(intransitive.form(form)), ""),
        (frame.format(transitive.form(form)), w.noun_phrase(noun)),
    )


@phenomenon
def clausal_complements(w: Words) -> Square:
    """*Hope* takes a *that*-clause, *force* an object and an infinitive."""
    say, force = w.draw(w.lexicon.declarative), w.draw(w.lexicon.object_control)
    speaker, agent, action = w.someone(), w.someone(), w.predicate()
    auxiliary, form = w.pick((("", "past"), ("has", "participle"), ("had", "participle")))
    return cross(
        (f"{speaker} {auxiliary} {say.form(form)} _", f"that {agent} would {action.base}"),
        (f"{speaker} {auxiliary} {force.form(form)} _", f"{agent} to {action.base}"),
    )


@phenomenon
def infinitive_or_gerund(w: Words) -> Square:
    """*Decide* takes a *to*-infinitive, *enjoy* a gerund."""
    decide, enjoy = w.draw(w.lexicon.infinitival), w.draw(w.lexicon.gerundial)
    (action, noun), agent = w.transitive(), w.someone()
    rest = w.noun_phrase(noun)
    auxiliary, form = w.pick((("", "past"), ("has", "participle"), ("will", "base")))
    return cross(
        (f"{agent} {auxiliary} {decide.form(form)} _ {rest}", f"to {action.base}"),
        (f"{agent} {auxiliary} {enjoy.form(form)} _ {rest}", action.ing),
    )


@phenomenon
def passives(w: Words) -> Square:
    """The passive is made with the participle, and of transitive verbs only."""
    (verb, noun), agent = w.transitive(), w.someone()
    patient, be = w.noun_phrase(noun), w.pick(("was", "has been", "had been"))
    if w.pick((True, False)):
        return cross(
            (f"{patient} {be} _ by {agent}", verb.participle),
            (f"{agent} {be} _ {patient}", verb.ing),
        )
    return cross(
        (f"{patient} {be} _ by {agent}", verb.participle),
        (f"{agent} {w.pick(('has', 'had'))} _", w.intransitive().participle),
    )


# Verb forms


@phenomenon
def auxiliaries(w: Words) -> Square:
    """Modals and *do* govern the bare form, *have* the participle, *be* the *ing*-form."""
    form_a, form_b = w.two(tuple(AUXILIARIES))
    governors = {**AUXILIARIES, "base": (*AUXILIARIES["base"], "did", "does")}
    verb, noun = w.transitive()
    rest = w.noun_phrase(noun)
    frame = w.pick((f"{w.someone()} {{}} not _ {rest}", f"{{}} {w.someone()} _ {rest}?"))
    return cross(
        (frame.format(w.pick(governors[form_a])), verb.form(form_a)),
        (frame.format(w.pick(governors[form_b])), verb.form(form_b)),
    )


@phenomenon
def participles(w: Words) -> Square:
    """Strong verbs have one form for the past and another after *have*."""
    verb, agent = w.draw(w.lexicon.strong), w.someone()
    rest = "" if verb.takes == "none" else w.noun_phrase(w.object_of(verb))
    have = w.pick(("has", "had", "has never", "had already"))
    return cross(
        (f"{agent} {have} _ {rest}", verb.participle),
        (f"{agent} _ {rest} {w.pick(PAST_TIMES)}", verb.past),
    )


@phenomenon
def tense_and_time(w: Words) -> Square:
    """The tense of the verb agrees with the adverb of time."""
    action, agent, past_time = w.predicate(), w.someone(), w.pick(PAST_TIMES)
    frame = w.pick((f"{agent} {{slot}} {{time}}", f"{{time}}, {agent} {{slot}}"))
    other_time, past, other = w.pick(
        (
            (w.pick(FUTURE_TIMES), action.past, f"will {action.base}"),
            (w.pick(FUTURE_TIMES), f"was {action.ing}", f"will be {action.ing}"),
            ("right now", f"was {action.ing}", f"is {action.ing}"),
        )
    )
    return cross(
        (frame.format(slot="_", time=past_time), past),
        (frame.format(slot="_", time=other_time), other),
    )


# Movement


@phenomenon
def wh_movement(w: Words) -> Square:
    """A question word goes with a gap, *that* and the yes/no question with a full clause."""
    (verb, noun), agent = w.transitive(), w.someone()
    patient, wh = w.noun_phrase(noun), "who" if noun.human else "what"
    if w.pick((True, False)):
        known = f"{w.someone()} {w.draw(w.lexicon.responsive).past} _ {agent} had {verb.participle}"
        return cross((known, wh), (f"{known} {patient}", "that"))
    auxiliary, form = w.auxiliary()
    asked = w.pick(
        (
            f"{auxiliary} {agent} {verb.form(form)} _?",
            f"did {w.someone()} {w.draw(w.lexicon.declarative).base} that {agent} had {verb.participle} _?",
        )
    )
    return cross((f"{wh} {asked}", ""), (asked, patient))


@phenomenon
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
    (upper, asked), (lower, kept) = w.transitive(), w.transitive((w.pick(("thing", "person")),))
    asked = kept if asked.human != kept.human else asked
    return orders(
        f"which {asked.singular} did {w.someone()} {upper.base} {lower.past}",
        f"which {kept.singular}",
    )


def _subject_relative_island(w: Words) -> Pair:
    """The gap is in the main clause, or within the relative clause on its subject."""
    (main, asked), (inner, _) = w.transitive(("thing",)), w.transitive(("thing",))
    head, kept = w.person().singular, w.noun_phrase(w.thing())
    return orders(
        f"which {asked.singular} did the {head} who {inner.past} {kept} {main.base}?",
        f"which {asked.singular} did the {head} who {inner.past} {main.base} {kept}?",
    )


def _object_relative_island(w: Words) -> Pair:
    """The whole object moves, or something out of the relative clause on it."""
    (inner, noun), (main, head) = w.transitive(), w.transitive(("person",))
    agent = w.someone()
    return orders(
        f"which {head.singular} who {inner.past} the {noun.singular} did {agent} {main.base}?",
        f"which {noun.singular} did {agent} {main.base} the {head.singular} who {inner.past}?",
    )


# Order


@phenomenon
def word_order(w: Words) -> Square:
    """Questions invert and embedded ones do not; adverbs and light pronouns have their places."""
    return w.pick((_inversion, _particles, _adverbs))(w)


def _inversion(w: Words) -> Square:
    """*Which lamp will John fix?*, but *which lamp John will fix* after *know*."""
    (verb, noun), agent, knower = w.transitive(), w.someone(), w.someone()
    auxiliary, form = w.pick((("had", "participle"), ("should", "base"), ("could", "base")))
    inverted = f"which {noun.singular} {auxiliary} {agent} {verb.form(form)}"
    direct = f"which {noun.singular} {agent} {auxiliary} {verb.form(form)}"
    known = f"{knower} {w.draw(w.lexicon.responsive).past}"
    return orders(f"{inverted}?", f"{direct}?"), orders(f"{known} {direct}", f"{known} {inverted}")


def _particles(w: Words) -> Square:
    """A pronoun stands before a particle (*pick it up*), but after a preposition (*look at it*)."""
    auxiliary, form = w.pick((w.auxiliary(), ("", "past")))
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
    auxiliary, form = w.pick((w.auxiliary(), ("", "past")))
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


@phenomenon
def relative_clauses(w: Words) -> Square:
    """People are *who* and things *which*; a relative clause has a gap, not one more pronoun."""
    (verb, noun), agent = w.transitive(("thing",)), w.someone()
    person, wise, old = w.person(), "", w.adjective(noun).positive
    if w.pick((True, False)):
        wise = w.adjective(person).positive
        return cross(
            (f"the {person.singular} _ {verb.past} {w.noun_phrase(w.thing())} was {wise}", "who"),
            (f"the {noun.singular} _ {agent} {verb.past} was {old}", "which"),
        )
    verb, noun = w.transitive()
    old = w.adjective(noun).positive
    subject, be, pronoun = w.pick(
        ((noun.plural, "were", "them"),)
        if noun.human
        else ((noun.plural, "were", "them"), (noun.singular, "was", "it"))
    )
    return cross(
        (f"the {subject} that {agent} {verb.past} _ {be} {old}", ""),
        (f"because the {subject} {be} {old}, {agent} {verb.past} _", pronoun),
    )


# Comparison and ellipsis


@phenomenon
def comparatives(w: Words) -> Square:
    """*As tall as*, *taller than*, *the tallest of all*."""
    noun = w.pick((w.person, w.thing))()
    adjective = w.adjective(noun)
    if noun.human:
        first, second = w.someone(), w.someone()
    else:
        first, second = f"the {noun.singular}", f"the {w.thing().singular}"
    group = (w.person() if noun.human else w.thing()).plural
    be = w.pick(("is", "was"))
    degree_a, degree_b = w.two(
        (
            (f"{first} {be} as _ as {second}", adjective.positive),
            (f"{first} {be} _ than {second}", adjective.comparative),
            (f"{first} {be} the _ of all the {group}", adjective.superlative),
        )
    )
    return cross(degree_a, degree_b)


@phenomenon
def ellipsis(w: Words) -> Square:
    """What answers a clause has its polarity (*so*, *neither*), its auxiliary and its subject (*hasn't she?*)."""
    return w.pick((_so_and_neither, _tag_subject, _tag_auxiliary))(w)


def _so_and_neither(w: Words) -> Square:
    """*So has John* after a positive clause, *neither has John* after a negative one."""
    auxiliary, form = w.auxiliary()
    first, second, action = w.someone(), w.someone(), w.predicate().form(form)
    return cross(
        (f"{first} {auxiliary} {action}, and _ {auxiliary} {second}", "so"),
        (f"{first} {auxiliary} not {action}, and _ {auxiliary} {second}", "neither"),
    )
