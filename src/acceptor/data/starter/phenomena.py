"""The phenomena by name."""

from __future__ import annotations

from collections.abc import Callable

from acceptor.data.starter import everyday, forms, phrases, structure
from acceptor.data.starter.grammar import Square, Words

Phenomenon = Callable[[Words], Square]

PHENOMENA: dict[str, Phenomenon] = {
    phenomenon.__name__: phenomenon
    for phenomenon in (
        forms.subject_verb_agreement,
        forms.determiner_noun_agreement,
        forms.mass_and_count,
        forms.existential_there,
        forms.reflexives,
        forms.pronoun_case,
        forms.auxiliaries,
        forms.passives,
        forms.participles,
        forms.tense_and_time,
        forms.comparatives,
        structure.transitivity,
        structure.clausal_complements,
        structure.infinitive_or_gerund,
        structure.wh_movement,
        structure.islands,
        structure.relative_clauses,
        structure.word_order,
        structure.negative_polarity,
        structure.ellipsis,
        everyday.person_agreement,
        everyday.agreement_across_phrases,
        everyday.there_is,
        everyday.do_support,
        everyday.questions,
        everyday.inversion,
        everyday.everyday_passives,
        everyday.perfect,
        everyday.to_infinitives,
        everyday.noun_number,
        everyday.short_agreement,
        everyday.short_forms,
        everyday.imperatives,
        phrases.object_pronouns,
        phrases.everyday_reflexives,
        phrases.phrase_order,
        phrases.degrees,
        phrases.any_and_ever,
        phrases.subject_relatives,
    )
}
"""Every phenomenon by its name: a function that draws words and makes one square."""
