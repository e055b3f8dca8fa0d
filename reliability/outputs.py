"""Strings that take hold of what shows them: a spreadsheet, a terminal, a page. Everywhere they must stay text.

Every string goes the way of a sentence, through a judge and the commands, and the way of a name: label, run, encoder,
column. Held means: it is inert where it is shown, and whoever reads the data back gets every character of it.
"""

from __future__ import annotations

import contextlib
import csv
import html.parser
import io
import json
import re
import warnings
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reliability.folders import good_encoder, good_run
from reliability.outcome import Outcome

FORMULAS = tuple("=+-@\t\r\n＝＋－＠")
STRINGS = [
    *("=1+1", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0"),
    *("\t=1+1", "\r=1+1", '=HYPERLINK("http://x.invalid?"&A1,"see")', '=IMPORTXML("http://x.invalid","//a")'),
    *('","=1+1', '"=1+1"', "a\r=1+1", "＝1+1", "－1+1", "=1+1;=2+2", "'=1+1", "%0A=1+1"),
    *("\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://x.invalid\x1b\\here\x1b]8;;\x1b\\", "\x9b2J", "\x1bc"),
    *(
        "good\rbad",
        "a\b\b\bz",
        "a\x07",
        "\x7f\x7f",
        "a\x0bb\x0cc",
        "\x1b[31m[red]text[/red]",
        "[link=http://x.invalid]a[/link]",
    ),
    *("\u202egnp.exe", "\u2066a\u2069\u200b", "a\u2028alert(1)\u2029b", "\ufeffa", "e\u0301\U000e0041"),
    *("</script><script>alert(1)</script>", "<!--<script>", "<img src=x onerror=alert(1)>", "&lt;b&gt;&#60;", "]]>"),
    *(
        "![x](http://x.invalid/x.png)",
        "[a](javascript:alert(1))",
        "| a | b |",
        "`code` **bold** _it_",
        "{{ 7*7 }}${7*7}%s",
    ),
    *("# a heading", "---", "$\\frac{1}{$", "\\input{/etc/passwd}", "~~~", "<https://x.invalid>", "$(id) `id` ; id"),
]
"""Formulas, controls, text that changes its direction, markup, templates."""


def inert_outputs(scratch: Path) -> Outcome:
    """Every string in every place where results are shown.

    Args:
        scratch: An empty folder to work in.
    """
    run = good_run(scratch / "run", good_encoder(scratch / "encoder", every_byte=True))
    places = {**_answers(scratch, run), **_names(scratch)}
    failures = []
    for place, wrong in places.items():
        for number, text in enumerate(STRINGS):
            try:
                said = wrong(number, text)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            if said:
                failures.append(f"{place}, {text!r}: {said}")
    tried = len(places) * len(STRINGS)
    return Outcome("hostile strings shown inert", tried - len(failures), tried, tuple(failures))


Check = Callable[[int, str], str]  # what is wrong with the string of this number; empty if nothing


# ── sentences, through the commands ──────────────────────────────────────────────────────────────────────


def _answers(scratch: Path, run: Path) -> dict[str, Check]:
    """The commands' answers about a file with all strings as sentences, by place."""
    source = scratch / "in.jsonl"
    rows = ({"sentence": text, "label": str(number % 2), "note": text} for number, text in enumerate(STRINGS))
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    judge = ["predict", str(run), str(source), "--device", "cpu", "--precision", "fp32"]
    files = {name: scratch / name for name in ("exact.csv", "safe.csv", "exact.jsonl")}
    _command([*judge, "-o", str(files["exact.csv"]), "--all-scores"])
    _command([*judge, "-o", str(files["exact.jsonl"])])
    _command([*judge, "-o", str(files["safe.csv"]), "--all-scores", "--spreadsheet-safe"])
    exact, safe = _csv(files["exact.csv"]), _csv(files["safe.csv"])
    lines = files["exact.jsonl"].read_text("utf-8").split("\n")
    printed, shown = _command([*judge, "--json"]), _command(judge)
    verdicts = json.loads(printed)["verdicts"]

    def in_exact_csv(number: int, text: str) -> str:
        return "" if exact[number]["sentence"] == exact[number]["note"] == text else "not exact"

    def in_safe_csv(number: int, text: str) -> str:
        row = safe[number]
        if row["sentence"].removeprefix("'" if text[0] in FORMULAS else "") != text:
            return f"found {row['sentence']!r}"
        if row["logit(acceptable)"] != exact[number]["logit(acceptable)"]:
            return "a number was changed"
        return _formula(row["sentence"]) or _formula(row["note"])

    def in_jsonl(number: int, text: str) -> str:
        return "" if json.loads(lines[number])["sentence"] == text else "not exact"

    def in_json(number: int, text: str) -> str:
        return _active(printed, "<>&") or ("" if verdicts[number]["sentence"] == text else "not exact")

    def on_terminal(number: int, text: str) -> str:
        from acceptor.text import plain

        whole = re.sub(r"\s+", "", shown)
        return _active(shown) or ("" if re.sub(r"\s+", "", plain(text)) in whole else "not shown")

    return {
        "exact CSV": in_exact_csv,
        "safe CSV": in_safe_csv,
        "JSON lines": in_jsonl,
        "--json": in_json,
        "terminal": on_terminal,
    }


def _command(arguments: list[str]) -> str:
    """What a command prints on stdout."""
    from acceptor.cli.app import app

    with contextlib.redirect_stdout(io.StringIO()) as out:
        app(arguments, standalone_mode=False)
    return out.getvalue()


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _formula(cell: str) -> str:
    return "a formula" if cell.startswith(FORMULAS) else ""


def _active(text: str, others: str = "") -> str:
    """A character in a printed text that a terminal, or a page, would act on."""
    found = next((char for char in text if char in others or not (char == "\n" or char.isprintable())), None)
    return "" if found is None else f"printed {found!r}"


# ── names: of a label, a run, an encoder, a column ───────────────────────────────────────────────────────


def _names(scratch: Path) -> dict[str, Check]:
    """Places that show names, by place."""
    import polars as pl

    from acceptor.cli import render as terminal
    from acceptor.data.writing.write import write_rows
    from acceptor.errors import DataError
    from acceptor.report.figures import loss_figure, save_figure
    from acceptor.text import as_json

    plainly = _tags(_card("name"))

    def in_card(_: int, text: str) -> str:
        card = _card(text)
        if _tags(card) != plainly:
            return "other markup than with a plain name"
        return _active(card)

    def in_figure(number: int, text: str) -> str:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            save_figure(loss_figure([(1, 1.0), (2, 0.5)], [(2, 0.5)], text), scratch / "figures", str(number))
        root = xml.etree.ElementTree.parse(scratch / "figures" / f"{number}.svg").getroot()
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        return "" if not tags & {"script", "image", "a", "foreignObject"} else f"holds {tags}"

    def as_column(number: int, text: str) -> str:
        path = scratch / f"columns{number}.csv"
        write_rows(pl.DataFrame({text: ["a"], "n": [-1.5]}), path, ".csv", spreadsheet_safe=True)
        with path.open(encoding="utf-8", newline="") as file:
            names = next(csv.reader(file))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            terminal.show(terminal.table([text, "n"], [("a", 1)]), f"line of {text}")
        return _formula(names[0]) or _active(out.getvalue())

    def in_error(_: int, text: str) -> str:
        error = DataError(f"unknown label {text}", where=text, found=text)
        return _active(str(error)) or _active(as_json(error.to_dict()), "<>&")

    return {"model card": in_card, "figure": in_figure, "column": as_column, "error": in_error}


def _card(text: str) -> str:
    """A model card in which everything that can be named is named by the string."""
    from acceptor.data.load import load_data
    from acceptor.evaluation.evaluate import report_of
    from acceptor.report.card import model_card
    from acceptor.runs.judge_file import EncoderRecord
    from acceptor.runs.run_file import RunFile, SplitRecord

    data = load_data([("one", "a"), ("two", "b")], labels=["a", "b"])
    object.__setattr__(data.train, "labels", (text, "other"))
    record = RunFile.model_construct(
        config={"encoder": text, "seed": 1},
        encoder=EncoderRecord(name=text, revision=text, sha256="0" * 64),
        data={"train": SplitRecord.model_validate(data.train.to_dict())},
    )
    return model_card(text, {"validation": report_of(data.train, np.zeros((2, 2), np.float32))}, record)


class _Tags(html.parser.HTMLParser):
    """The markup of a page, in order: tags with their attributes' names, comments."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(" ".join([tag, *(name for name, _ in attrs)]))

    def handle_comment(self, data: str) -> None:
        self.seen.append("comment")


def _tags(card: str) -> list[str]:
    from markdown_it import MarkdownIt

    page = _Tags()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(card))
    return page.seen
