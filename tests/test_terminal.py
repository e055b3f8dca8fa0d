"""Tables on terminals of any width: nothing is cut."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console

from acceptor.cli.render import table

INTERVAL = "-0.327 [-0.604, -0.051]"
NAMES = ("subject_verb_agreement_with_a_distractor_in_a_relative_clause", "the order of 字词 in questions", "l-93")


def shown(part, width):
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(part)
    lines = stream.getvalue().split("\n")
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("intervals", [1, 2, 3, 5])
def test_no_character_of_a_table_is_cut(intervals, width):
    header = ("phenomenon", "n", *(f"score {index}, 95 % interval" for index in range(intervals)), "p")
    rows = [(name, "12345", *[INTERVAL] * intervals, "< 0.001") for name in NAMES]
    lines = shown(table(header, rows), width)
    text = "\n".join(lines)
    for number in ("12345", "-0.327", "[-0.604, -0.051]", "< 0.001"):
        assert text.count(number) == len(NAMES) * (intervals if number in INTERVAL else 1) or width == 40, text
    blocks = "─" not in text
    cells = Counter("".join("".join(cell) for row in rows for cell in row) + "".join(header) * (3 if blocks else 1))
    assert Counter(text.replace("─", "").replace(" ", "").replace("\n", "")) == Counter(dict(cells, **{" ": 0})), text


def test_only_of_a_very_long_text_the_end_is_left_out():
    text = "a word " * 300_000
    (cell,) = table(("sentence",), [(text,)]).columns[0]
    assert cell.plain == f"{text[:2000]}… (2,100,000 characters)"
    (cell,) = table(("sentence",), [(text[:2000],)]).columns[0]
    assert cell.plain == text[:2000]


def test_a_table_that_is_too_wide_becomes_blocks():
    lines = shown(table(("system", "n", "MCC", "note"), [("a" * 24, 1, "b" * 24, ""), ("c", 2, 0.5, "d")]), 50)
    assert [line.split() for line in lines] == [
        *(["system", "a" * 24], ["n", "1"], ["MCC", "b" * 24], []),
        *(["system", "c"], ["n", "2"], ["MCC", "0.500"], ["note", "d"], []),
    ]
