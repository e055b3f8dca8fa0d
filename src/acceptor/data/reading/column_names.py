"""The column names that are recognised: of sentences, labels, pairs and splits.

Names are compared without case, blanks, hyphens and underscores: see `key`.
"""

from __future__ import annotations

import re

# fmt: off
KNOWN_NAMES = {
    "sentence": ("sentence", "text", "sent", "utterance", "review", "sentence1", "texta", "premise", "question1",
                 "question", "1string", "string1", "text1", "sent1", "sentencea", "query", "claim",
                 "sentences", "texts", "content", "comment", "commenttext", "tweet", "message", "document",
                 "satz", "phrase", "frase", "oración", "oracion", "texto", "texte", "testo", "zin", "tekst", "mening",
                 "lause", "zdanie", "cümle", "metin", "предложение", "текст",
                 "句子", "文本", "文", "文章", "テキスト", "문장", "텍스트"),
    "second": ("sentence2", "second", "textb", "hypothesis", "question2", "2string", "string2", "text2", "sent2",
               "sentenceb", "textpair"),
    "label": ("label", "labels", "acceptable", "acceptability", "grammatical", "isacceptable", "class", "target",
              "gold", "goldlabel", "judgement", "judgment", "y"),
}
"""Role to names, in order of priority. A column with a name of ``second`` makes a pair with any sentence."""
MORE_LABEL_NAMES = (
    "quality", "stance", "isduplicate", "isparaphrase", "entailmentjudgment", "sentiment", "category", "intent",
    "urteil", "klasse", "classe", "clase", "étiquette", "etiqueta", "etichetta", "метка", "标签", "ラベル", "레이블",
)
"""Names of labels, used only if no column has one of the names above."""
GENERIC_LABEL_NAMES = ("class", "target", "gold", "y")
"""Names that are ignored if a column has one of the names above."""
PAIRS = (
    ("sentence1", "sentence2"), ("texta", "textb"), ("premise", "hypothesis"), ("question1", "question2"),
    ("1string", "2string"), ("string1", "string2"), ("text1", "text2"), ("sent1", "sent2"),
    ("sentencea", "sentenceb"), ("question", "sentence"), ("question", "answer"), ("question", "passage"),
    ("question", "context"), ("query", "passage"), ("query", "document"), ("query", "text"), ("claim", "evidence"),
)
"""Names of two columns that are a pair, its first text first: as in GLUE, SuperGLUE, SNLI, PAWS, SICK, FEVER."""
COMPANIONS = {
    *("question", "premise", "hypothesis", "context", "passage", "paragraph", "answer", "query", "claim", "evidence"),
    *(name for pair in PAIRS for name in pair if name[-1] in "12ab" or name[0] in "12"), "second", "textpair",
    *("choice1", "choice2", "option1", "option2", "choicea", "choiceb", "ending1", "ending2"),
}
"""Names of texts that are used only together with another text."""
PAIR_NAMES = {
    "sentence_good": ("sentencegood", "good", "acceptable", "grammatical", "correct", "goodsentence"),
    "sentence_bad": ("sentencebad", "bad", "unacceptable", "ungrammatical", "incorrect", "wrong", "badsentence"),
    "phenomenon": ("uid", "phenomenon"),
    "term": ("linguisticsterm", "term"),
}
"""Names of the columns of minimal pairs, first those of BLiMP's files."""
SPLIT_NAMES = ("split", "splits", "partition", "subset", "set", "dataset", "fold")
# fmt: on


def key(name: str) -> str:
    """A column's name as names are compared: letters and digits alone, case folded."""
    return re.sub(r"[\W_]+", "", name.casefold())
