"""Phenomena of everyday sentences: agreement, auxiliaries, participles, questions, infinitives, verbs alone.

Each function draws words and makes one square, as in ``forms``. The sentences have pronouns and relatives as subjects,
contractions, places and times, and the words that are most frequent in English.
"""

from __future__ import annotations

from acceptor.data.starter.grammar import OWNERS, Pair, Square, Words, cross, orders
from acceptor.data.starter.lexicon import Noun, Verb, indefinite
from acceptor.data.starter.words import NO_VERBS_ALONE, OBJECT_OPTIONAL, PAST_TIMES

MODALS = ("will", "can", "must", "should", "may", "might", "won't", "can't", "shouldn't")
STATES = ("here", "at home", "late", "ready", "outside", "upstairs", "in trouble", "asleep")
WHEN = ("", "", "again", "every day", "today")


def person_agreement(w: Words) -> Square:
    """The verb agrees with a pronoun, a name, or one's relatives: *she is*, *my brothers are*."""
    one, many = w.one(), w.many()
    third, plain, rest = _finite(w)
    if third not in ("is", "was", "isn't") and w.pick((True, False)):
        many = "I"
    if third in ("is", "was", "has", "does", "doesn't", "isn't") and w.pick((True, False, False)):
        one = w.pick(("everyone", "everybody", "somebody"))
    if w.pick((True, False, False)):
        one, many, third, plain, rest = _first_person(w)
    elif third in ("is", "was", "does", "has") and w.pick((True, False, False)):
        return cross((f"_ {one} {rest}?", third), (f"_ {many} {rest}?", plain))
    return cross((f"{one} _ {rest}", third), (f"{many} _ {rest}", plain))


def _finite(w: Words) -> tuple[str, str, str]:
    """The finite verb after a singular and after a plural subject, and the rest of the sentence."""
    deed, when = w.deed(), w.pick(WHEN)
    adjective = w.trait()
    state = w.pick((w.pick(STATES), adjective, f"very {adjective}"))
    be = w.pick((("is", "are"), ("was", "were")))
    return w.pick(
        (
            (*be, f"{w.pick(('', 'not', 'still'))} {state}"),
            (*be, f"{w.pick(('', 'not', 'still'))} {deed.ing}"),
            ("has", "have", f"{w.pick(('never', 'already', 'just', 'not'))} {deed.participle}"),
            ("does", "do", f"not {deed.base} {when}"),
            ("doesn't", "don't", f"{deed.base} {when}"),
            ("isn't", "aren't", state),
            (deed.third, deed.base, when),
        )
    )


def _first_person(w: Words) -> tuple[str, str, str, str, str]:
    """*I am*, but *he is* and *they are*."""
    deed = w.deed()
    rest = w.pick((f"not {deed.ing}", deed.ing, w.pick(STATES), f"very {w.trait()}"))
    form, other, be = w.pick((("am", w.one(), "is"), ("am", w.many(), "are"), ("was", w.many(), "were")))
    return "I", other, form, be, rest


def agreement_across_phrases(w: Words) -> Square:
    """The verb agrees with the head of the subject, whatever stands between: *the friends of my sister are*."""
    head = w.one_of(w.person, lambda: w.draw(w.lexicon.friends), w.thing, w.thing)
    place, thing, person = w.draw(w.lexicon.places), w.thing(), w.person()
    relative = w.draw((*w.lexicon.brothers, *w.lexicon.sisters))
    owner = w.pick(("my", "our", "their"))
    modifiers = [
        (f"in the {place.singular}", f"in the {place.plural}"),
        (f"with the {thing.singular}", f"with the {thing.plural}"),
        (f"of the {person.singular}", f"of the {person.plural}"),
        (f"of {owner} {relative.singular}", f"of {owner} {relative.plural}"),
        (f"from {w.city()}",) * 2,
    ]
    singular, plural = w.pick(modifiers)
    adjective = w.adjective(head).positive
    state = w.pick(
        (adjective, f"very {adjective}", f"not {adjective}", w.pick(("here", "there", "outside", "upstairs")))
    )
    endings = [("is", "are", state), ("was", "were", state), ("isn't", "aren't", state)]
    if head.human:
        action = w.action()
        endings += [("is", "are", action.ing), ("has", "have", f"{action.participle} {w.place()}")]
        endings += [(action.third, action.base, w.place())]
    third, plain, rest = w.pick(endings)
    return cross(
        (f"the {head.singular} {plural} _ {rest}", third),
        (f"the {head.plural} {singular} _ {rest}", plain),
    )


def there_is(w: Words) -> Square:
    """*There is* agrees with what comes after it."""
    noun = w.one_of(w.person, w.thing, w.animal)
    place = w.pick((f"in the {w.building()}", f"in {w.city()}"))
    place = w.pick((place, f"near the {w.thing().singular}", f"{w.pick(('under', 'on'))} the {w.thing().singular}"))
    third, plain = w.pick((("is", "are"), ("was", "were"), ("isn't", "aren't")))
    few = ("enough", "two", "three")
    amount = w.pick(few if third == "isn't" else (*few, "some", "many", "several", "no", "a few"))
    article = w.pick((indefinite(noun.singular), f"one {noun.singular}"))
    statement, question = f"there _ {{}} {place}", f"_ there {{}} {place}?"
    frame = statement if amount == "no" else w.pick((statement, question))
    return cross((frame.format(article), third), (frame.format(f"{amount} {noun.plural}"), plain))


def do_support(w: Words) -> Square:
    """After *didn't*, *doesn't* and modals the verb is bare; it has the tense if it is alone."""
    (verb, noun), one, other = w.activity(), w.one(), w.one()
    rest = w.own(noun)
    if w.pick((True, False)):
        verb, rest = w.action(), w.place()
    past = w.pick((True, False)) and verb.past != verb.base
    helper = "didn't" if past else w.pick(("doesn't", "doesn't", "does not", w.pick(MODALS)))
    if w.pick((True, False, False)) and not past and verb.base != verb.participle:  # *is read the news* is a passive
        return cross((f"{one} {w.pick(('is', 'was', 'is not', 'is still'))} _ {rest}", verb.ing), _bare(w, verb, rest))
    ending, form = (w.pick(PAST_TIMES), verb.past) if past else (w.pick(WHEN), verb.third)
    return cross((f"{one} {helper} _ {rest}", verb.base), (f"{other} _ {rest} {ending}", form))


def _bare(w: Words, verb: Verb, rest: str) -> tuple[str, str]:
    """A frame with a modal or *don't*, and the bare form."""
    subject, helper = w.pick(((w.one(), w.pick(MODALS)), (w.many(), w.pick(("don't", *MODALS)))))
    return f"{subject} {helper} _ {rest}", verb.base


def questions(w: Words) -> Square:
    """A question has one tensed verb, the auxiliary: *did she buy*, not *did she bought*."""
    (verb, noun), one, other = w.activity(), w.one(), w.one()
    rest = w.own(noun)
    asked = w.pick(
        (
            (f"what {{}} {one} _?", rest),
            (f"{w.pick(('where', 'when', 'why', 'how'))} {{}} {one} _ {rest}?", rest),
            (f"{{}} {one} _ {rest}?", rest),
            (f"which {noun.singular} {{}} {one} _?", f"that {noun.singular}"),
        )
    )
    if verb.base != verb.past and w.pick((True, True, False)):
        return cross((asked[0].format("did"), verb.base), (f"{other} _ {asked[1]} {w.pick(PAST_TIMES)}", verb.past))
    many = w.many()
    frame, do = w.pick(((asked[0], "does"), (asked[0].replace(f" {one} ", f" {many} "), "do")))
    return cross((frame.format(do), verb.base), (f"{other} _ {asked[1]} {w.pick(WHEN)}", verb.third))


def inversion(w: Words) -> Square:
    """A question begins with its auxiliary, and nothing else comes before the subject."""
    first, second = w.two((_wh_inversion, _be_inversion, _yes_no_inversion))
    return first(w), second(w)


def _wh_inversion(w: Words) -> Pair:
    """*Where will he work?*, not *where he will work?*."""
    subject, helper = w.pick(((w.one(), w.pick(("is", "will", "can", "has", "should"))), (w.many(), "are")))
    verb, noun = w.activity()
    form = {"is": verb.ing, "are": verb.ing, "has": verb.participle}.get(helper, verb.base)
    wh, rest = w.pick((("what", ""), ("why", w.own(noun)), ("where", w.own(noun)), ("when", w.own(noun))))
    return orders(f"{wh} {helper} {subject} {form} {rest}?", f"{wh} {subject} {helper} {form} {rest}?")


def _be_inversion(w: Words) -> Pair:
    """*Is he late today?*, not *is late he today?*."""
    subject, be = w.pick(((w.someone(), w.pick(("is", "was"))), (w.our_relatives(), w.pick(("are", "were")))))
    state = w.pick((w.pick(STATES), w.trait()))
    when = w.pick(("", "this morning", "again", "too"))
    return orders(f"{be} {subject} {state} {when}?", f"{be} {state} {subject} {when}?")


def _yes_no_inversion(w: Words) -> Pair:
    """*Can she swim here?*, not *can swim she here?*."""
    subject, deed = w.one(), w.action()
    helper = w.pick(("can", "will", "did", "does", "should"))
    place = w.place()
    return orders(f"{helper} {subject} {deed.base} {place}?", f"{helper} {deed.base} {subject} {place}?")


def everyday_passives(w: Words) -> Square:
    """The passive has the participle: *was written*, not *was wrote* or *was write*."""
    strong = w.pick((True, True, False))
    (verb, noun), agent = w.activity(strong=strong), w.someone()
    number = w.pick((True, False))
    patient = f"{w.pick(('the', 'my', 'our', 'their'))} {noun.singular if number else noun.plural}"
    be = w.pick(("was", "has been", "wasn't", "will be") if number else ("were", "have been", "weren't", "will be"))
    end = w.pick(("", f"by {w.someone()}", f"in {w.city()}", f"in the {w.building()}", "again"))
    if strong and w.pick((True, True, False)):
        return cross(
            (f"{patient} {be} _ {end}", verb.participle), (f"{agent} _ {patient} {w.pick(PAST_TIMES)}", verb.past)
        )
    if verb.base == verb.participle:
        return everyday_passives(w)
    helper = w.pick(("will", "can", "didn't", "must"))
    return cross((f"{patient} {be} _ {end}", verb.participle), (f"{agent} {helper} _ {patient}", verb.base))


def perfect(w: Words) -> Square:
    """*Have* goes with the participle: *I have eaten the apple*, not *have ate*."""
    strong = w.pick((True, True, False))
    verb, noun = w.activity(strong=strong)
    agent, have = w.pick(((w.one(), w.pick(("has", "hasn't", "had"))), (w.many(), w.pick(("have", "haven't", "had")))))
    adverb = "" if "n't" in have else w.pick(("", "already", "never", "just", "not"))
    rest, other = w.own(noun), w.one_or_many()
    if strong and w.pick((True, True, False)):
        return cross(
            (f"{agent} {have} {adverb} _ {rest}", verb.participle),
            (f"{other} _ {rest} {w.pick(PAST_TIMES)}", verb.past),
        )
    if verb.base == verb.participle:
        return perfect(w)
    helper = w.pick(("will", "can", "didn't", "must", "should"))
    return cross((f"{agent} {have} {adverb} _ {rest}", verb.participle), (f"{other} {helper} _ {rest}", verb.base))


def to_infinitives(w: Words) -> Square:
    """*Try* takes *to*, modals and *let* do not."""
    (verb, noun), agent, other = w.activity(), w.one_or_many(), w.one_or_many()
    rest = w.own(noun)
    desire = w.draw((*w.lexicon.desire, *w.lexicon.infinitival)).past
    bare = f"{other} {w.pick(MODALS)}"
    pronoun, force = w.pick(("him", "her", "them", "us", "me")), w.draw(w.lexicon.object_control).past
    able = f"was {w.pick(('able', 'ready', 'happy', 'too old', 'eager'))}"
    kind = w.pick(("desire", "desire", "let", "able", "form"))
    if kind == "form" and verb.base != verb.past:
        return cross(
            (f"{agent} {desire} to _ {rest}", verb.base), (f"{other} _ {rest} {w.pick(PAST_TIMES)}", verb.past)
        )
    if kind == "let":
        let = f"{w.one()} {w.pick(('let', 'will let', 'did not let'))} {w.pick(('him', 'her', 'them', 'us', 'me'))}"
        return cross((f"{w.one()} {force} {pronoun} _ {verb.base} {rest}", "to"), (f"{let} _ {verb.base} {rest}", ""))
    start = f"{w.one()} {able}" if kind == "able" else f"{agent} {desire}"
    return cross((f"{start} _ {verb.base} {rest}", "to"), (f"{bare} _ {verb.base} {rest}", ""))


def short_agreement(w: Words) -> Square:
    """A verb alone agrees as well: *the dog barks*, *dogs bark*, *do they sing?*, *I swim*."""
    noun, verb, one, many = _alone(w)
    owner, adverb = w.pick(OWNERS), w.pick(("", "", "", "often", "always", "never"))
    one, many = w.pick(
        (
            (f"the {noun.singular}", f"the {noun.plural}"),
            (indefinite(noun.singular), noun.plural),
            (f"{owner} {noun.singular}", f"{owner} {noun.plural}"),
            (one, many),
            (one, many),
        )
    )
    first, second, third, plain = w.pick(
        (
            (f"{one} {adverb} _", f"{many} {adverb} _", verb.third, verb.base),
            (f"{one} {adverb} _", f"{many} {adverb} _", verb.third, verb.base),
            (f"{one} _ {verb.base}", f"{many} _ {verb.base}", "doesn't", "don't"),
            (f"_ {one} {verb.base}?", f"_ {many} {verb.base}?", "does", "do"),
        )
    )
    return cross((first, third), (second, plain))


def short_forms(w: Words) -> Square:
    """*She arrived*, *she is arriving*, *she has never arrived*, *after arriving*, but *she didn't arrive*."""
    noun, verb, one, other = _alone(w)
    one = w.pick((one, f"{w.pick(('the', 'the', 'my'))} {noun.singular}"))
    past = (f"{one} _", verb.past)
    bare = (w.pick((f"{other} didn't _", f"{other} {w.pick(MODALS)} _", f"did {other} _?")), verb.base)
    pairs = [(past, bare), (past, (f"the {noun.singular} was {w.adjective(noun).positive} after _", verb.ing))]
    if verb.base != verb.participle:
        pairs.append(((f"{one} {w.pick(('has', 'had'))} never _", verb.participle), bare))
    if verb.base not in (verb.participle, *NO_VERBS_ALONE):
        pairs.append(((f"{one} is _", verb.ing), bare))
    return cross(*w.pick(pairs))


def _alone(w: Words) -> tuple[Noun, Verb, str, str]:
    """A noun, a verb that does without an object, and a singular and a plural subject that can take the noun's place.

    *Dog*, *sleep*, *my brother*, *they*; *clock*, *tick*, *it*, *they*.
    """
    if w.pick((True, False, False)):
        return w.thing(), w.draw(w.lexicon.events), "it", "they"
    optional = [entry.verb for entry in w.lexicon.activities if entry.verb.base in OBJECT_OPTIONAL]
    actions = [verb for verb in w.lexicon.actions if verb.base != "live"]  # which needs a place
    noun = w.one_of(w.animal, w.person, lambda: w.draw(w.lexicon.friends))
    several = w.pick((w.many(), w.pick(("I", "I", "we", "you", "they"))))
    return noun, w.draw((*actions, *w.lexicon.intransitive, *optional)), w.one(), several


def imperatives(w: Words) -> Square:
    """A request has the bare verb: *open the gate*, *please help me*, *don't be late*."""
    one, start = w.one(), w.pick(("please", "please", "don't", "don't", "never", "let us"))
    if w.pick((True, False, False)):
        state = w.pick((w.trait(), "late", "ready", "here"))
        return cross((f"{w.pick((start, ''))} _ {state}", "be"), (f"{one} _ {state}", "is"))
    verb, noun = w.activity()
    rest, pronoun = w.own(noun), w.pick(("him", "them") if start == "let us" else ("me", "us", "him", "them"))
    kind = w.pick(("object", "object", "place", "person", "preposition"))
    if kind in ("object", "person") and w.pick((True, False)):
        start = ""  # not before others: *comments on me*, *walks in the park* are noun phrases
    if kind == "place":
        verb, rest = w.action(), w.place()
    elif kind == "person":
        verb, rest = w.transitive("person")[0], pronoun
    elif kind == "preposition":
        verb = w.draw(w.lexicon.prepositional)
        rest = f"{verb.particle} {pronoun}"
    return cross((f"{start} _ {rest} {w.pick(('', '', 'now', 'again'))}", verb.base), (f"{one} _ {rest}", verb.third))


def noun_number(w: Words) -> Square:
    """Determiners and numbers choose the number of the noun: *this house*, *two houses*, *one of my friends*."""
    return w.pick((_demonstratives, _numbers, _partitives))(w)


def _demonstratives(w: Words) -> Square:
    """*This house is*, *these houses are*."""
    noun = w.one_of(w.thing, lambda: w.draw(w.lexicon.places), w.animal, w.person)
    one, many = w.pick((("this", "these"), ("that", "those"), ("every", "all"), ("each", "both"), ("one", "two")))
    adjective = w.pick(("", "", f"{w.adjective(noun).positive}"))
    be, are = w.pick((("is", "are"), ("was", "were")))
    state = w.pick((w.adjective(noun).positive, f"in {w.city()}", f"behind the {w.thing().singular}"))
    return cross(
        (f"{one} {adjective} _ {be} {state}", noun.singular), (f"{many} {adjective} _ {are} {state}", noun.plural)
    )


def _numbers(w: Words) -> Square:
    """*An apple*, *three apples*."""
    verb, noun = w.activity() if w.pick((True, False)) else w.transitive("thing")
    agent = w.one_or_many()
    article = w.pick((indefinite(noun.singular).split()[0], "one", "every", "another", "this"))
    amount = w.pick(("two", "three", "four", "ten", "many", "several", "a few", "some of the", "these", "all the"))
    end = w.pick(("", w.place()))
    start = w.pick((f"{agent} {verb.past}", f"{agent} will {verb.base}", f"{agent} can't {verb.base}"))
    return cross((f"{start} {article} _ {end}", noun.singular), (f"{start} {amount} _ {end}", noun.plural))


def _partitives(w: Words) -> Square:
    """*One of my friends is*, *both of my friends are*, but *my friend is*."""
    (owner, noun), (third, plain, rest) = w.relative(), _finite(w)
    amount, verb = w.pick((("one", third), (w.pick(("two", "both", "all", "some", "most", "many")), plain)))
    return cross((f"{owner} _ {third} {rest}", noun.singular), (f"{amount} of {owner} _ {verb} {rest}", noun.plural))
