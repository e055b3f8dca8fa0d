"""Phenomena of form: which form of a word its neighbours require.

Each function draws words and makes one square, two balanced minimal pairs. In a frame, ``_`` is the slot; the
form given with the frame is the right one there, and the other frame's is the wrong one.
"""

from __future__ import annotations

from acceptor.data.starter.grammar import AUXILIARIES, Square, Words, cross
from acceptor.data.starter.words import FUTURE_TIMES, PAST_TIMES


def subject_verb_agreement(w: Words) -> Square:
    """The verb agrees with the head of the subject, not with the noun that stands nearer."""
    verb, head = w.transitive()
    other = w.another(head)
    admirer = w.person()
    preposition = w.pick(("near", "behind", "beside", "next to", "in front of"))
    singular_modifier, plural_modifier = w.pick(
        (
            (f"{preposition} the {other.singular}", f"{preposition} the {other.plural}"),
            (f"that the {admirer.singular} {verb.past}", f"that the {admirer.plural} {verb.past}"),
        )
    )
    adjective = w.adjective(head).positive
    endings = [
        ("is", "are", adjective),
        ("was", "were", adjective),
        ("has", "have", f"always been {adjective}"),
    ]
    if head.human:
        action = w.intransitive()
        endings += [(action.third, action.base, ""), ("has", "have", action.participle)]
    third, plain, rest = w.pick(endings)
    return cross(
        (f"the {head.singular} {plural_modifier} _ {rest}", third),
        (f"the {head.plural} {singular_modifier} _ {rest}", plain),
    )


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
            f"{agent} had {verb.participle} _ {{}}",
            f"_ {{}} could be {verb.participle} by {agent}",
        )
    )
    return cross((frame.format(singular), one), (frame.format(plural), many))


def mass_and_count(w: Words) -> Square:
    """Mass nouns go with *much* and *that*, plural nouns with *many* and *those*."""
    owner, mass = w.someone(), w.draw(w.lexicon.mass)
    plural = w.draw(w.pick((w.lexicon.things, w.lexicon.animals, w.lexicon.friends))).plural
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
    place = f"{w.pick(('near', 'behind', 'beside', 'in front of'))} the {w.another(noun).singular}"
    almost = w.pick(("almost", "nearly", "virtually", "practically"))
    return cross(
        (f"there {be} _ {phrase} {place}", weak),
        (f"{w.someone()} {verb.past} {almost} _ {phrase}", strong),
    )


def reflexives(w: Words) -> Square:
    """A reflexive agrees with the subject of its own clause."""
    verb, _ = w.transitive("person")
    plural = f"the {w.person().plural}"
    (first, form_a), (second, form_b) = w.two(
        (
            (w.man(), "himself"),
            (w.woman(), "herself"),
            (plural, w.pick(("themselves", "each other"))),
        )
    )
    frame = w.pick(
        (
            f"{{subject}} {verb.past} _",
            f"{{other}} {w.draw(w.lexicon.declarative).past} that {{subject}} had {verb.participle} _",
            f"{{subject}}, who {{other}} {w.transitive('person')[0].past}, {verb.past} _",
        )
    )
    return cross(
        (frame.format(subject=first, other=second), form_a),
        (frame.format(subject=second, other=first), form_b),
    )


def pronoun_case(w: Words) -> Square:
    """Subjects are nominative, objects accusative; *my* stands before a noun, *mine* alone."""
    return w.pick((_nominative_and_accusative, _nominative_and_accusative, _possessives))(w)


def _nominative_and_accusative(w: Words) -> Square:
    """*He praised John*, *John praised him*."""
    nominative, accusative = w.pick((("he", "him"), ("she", "her"), ("they", "them"), ("I", "me"), ("we", "us")))
    other, verb = w.someone(), w.transitive("person")[0]
    frame = w.pick(
        (
            f"{{}} {verb.past} {{}}",
            f"{{}} will {verb.base} {{}}",
            f"{w.someone()} {w.draw(w.lexicon.declarative).past} that {{}} had {verb.participle} {{}}",
        )
    )
    return cross((frame.format("_", other), nominative), (frame.format(other, "_"), accusative))


def _possessives(w: Words) -> Square:
    """*Mary fixed my lamp*, *the lamp was mine*; not *her*, which *the lamp was her* would allow."""
    dependent, alone = w.pick((("my", "mine"), ("our", "ours"), ("their", "theirs"), ("your", "yours")))
    verb, noun = w.transitive("thing")
    singular, _ = w.modified(noun)
    return cross(
        (f"{w.someone()} {verb.past} _ {singular}", dependent),
        (f"the {singular} that {w.someone()} {verb.past} was _", alone),
    )


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


def participles(w: Words) -> Square:
    """Strong verbs have one form for the past and another after *have*."""
    verb, agent = w.draw(w.lexicon.strong), w.someone()
    rest = "" if verb.takes == "none" else w.noun_phrase(w.object_of(verb))
    have = w.pick(("has", "had", "has never", "had already"))
    return cross(
        (f"{agent} {have} _ {rest}", verb.participle),
        (f"{agent} _ {rest} {w.pick(PAST_TIMES)}", verb.past),
    )


def tense_and_time(w: Words) -> Square:
    """The tense of the verb agrees with the adverb of time."""
    action, agent = w.predicate(), w.someone()
    frame = w.pick((f"{agent} {{}} {{time}}", f"{{time}}, {agent} {{}}"))
    future = w.pick((f"will {action.base}", f"will be {action.ing}"))
    return cross(
        (frame.format("_", time=w.pick(PAST_TIMES)), action.past),
        (frame.format("_", time=w.pick(FUTURE_TIMES)), future),
    )


def comparatives(w: Words) -> Square:
    """*As tall as*, *taller than*, *the tallest of all*."""
    noun = w.one_of(w.person, w.thing)
    if noun.human:
        first, second = w.one_of(w.man, w.woman), w.someone()
    else:
        first, second = f"this {noun.singular}", f"that {w.another(noun).singular}"
    adjective, be = w.adjective(noun), w.pick(("is", "was"))
    degree_a, degree_b = w.two(
        (
            (f"{first} {be} as _ as {second}", adjective.positive),
            (f"{first} {be} _ than {second}", adjective.comparative),
            (f"{first} {be} the _ of all the {noun.plural}", adjective.superlative),
        )
    )
    return cross(degree_a, degree_b)
