"""Words are counted in every script; if spaces separate them, by spaces."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import acceptor
from acceptor.data.auditing.audit import audit
from acceptor.data.word_counts import without_spaces, word_counts
from acceptor.evaluation.evaluate import report_of
from acceptor.evaluation.slices import slices
from acceptor.judging.decision import MOST_PROBABLE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("She isn't here - is she?", 6),  # as white space parts it, punctuation between spaces included
        ("naïve café owners « ici »", 6),
        ("한국어 문장 입니다.", 3),
        ("我喜欢吃苹果。", 6),
        ("“我喜欢，”他说……", 5),
        ("日本語のテキストです", 7),  # 日 本 語 の テキスト で す
        ("コンピューター", 1),
        ("ﾊﾟｿｺﾝを買う", 4),
        ("我用 BERT-base 模型", 5),
        ("BERT模型v2.0（很好）", 6),
        ("他有1,000元", 4),
        ("（中文） - English", 4),  # the dash stands between spaces
        ("ไป", 2),
        ("ที่นี่ดี", 3),  # vowels and tones above belong to their letters
        ("ខ្មែរ", 3),
        ("བོད་སྐད།", 2),
        ("　我　们　", 2),
        ("", 0),
        ("。！", 1),  # no script without spaces is in it
        ("か\u3099く", 2),
    ],
)
def test_words_of_every_script(text, words):
    assert word_counts(pl.Series([text])).to_list() == [words]


def test_rows_keep_their_order_and_others_their_counts():
    texts = pl.Series(["one two", "我们 走", "trois écoles là", "x"])
    assert word_counts(texts).to_list() == [2, 3, 3, 1]
    english = pl.Series(["a b", "d’un\u00a0an", "\tx  y\n", "½ — “z”"])
    assert word_counts(english).equals(english.str.count_matches(r"\S+"))
    assert without_spaces(pl.Series(["我", "b", "日本"]))
    assert not without_spaces(pl.Series(["我", "b"]))


def chinese(n):
    return [("我们今天去学校看书" * (1 + row % 6), str(row % 2)) for row in range(n)]


def test_audit_and_slices_distinguish_lengths_of_chinese_sentences():
    split = acceptor.load_data(chinese(60), validation=chinese(60)).validation
    assert split is not None
    assert audit(split).words == {"min": 9.0, "median": 31.5, "mean": 31.5, "99 %": 54.0, "max": 54.0}
    logits = np.zeros((60, 2), dtype=np.float32)
    report = report_of(split, logits, selected=False, decision=MOST_PROBABLE, trained_on=None)
    bands = {part.value: part.n for part in slices(report, "length")}
    assert bands == {"41 words or more": 20, "25–40 words": 20, "1–10 words": 10, "17–24 words": 10}


def test_bands_of_english_do_not_change():
    rows = [("word " * (1 + row % 24), str(row % 2)) for row in range(60)]
    split = acceptor.load_data(rows, validation=rows).validation
    assert split is not None
    report = report_of(
        split, np.zeros((60, 2), dtype=np.float32), selected=False, decision=MOST_PROBABLE, trained_on=None
    )
    names = {part.value for part in slices(report, "length")}
    assert names == {"1–5 words", "6–8 words", "9–12 words", "13–20 words", "21 words or more"}
