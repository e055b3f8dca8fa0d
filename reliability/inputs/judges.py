"""Root 4: inputs of the other kind, old heads, and inputs outside the vocabulary."""

from __future__ import annotations

import json
import re

from reliability.inputs.case import Case, Check, Result, all_of, any_of, asserts, ends_cleanly, refused, shows
from reliability.inputs.layouts import SECOND, N, jsonl, simple, texts, tsv
from reliability.inputs.programs import ALL_UNKNOWN, HEADS, MECAB, PAPERS, RAISES, with_words

HEAD = ("sentence", "label")
SINGLES = {"x.tsv": tsv(HEAD, simple())}
ENTAIL = ("not_entailment", "entailment")
PAIRS = {"x.tsv": tsv(("sentence1", "sentence2", "label"), [(t, SECOND, ENTAIL[y]) for t, y in texts()])}
BINARY_PAIRS = {"x.tsv": tsv(("sentence1", "sentence2", "label"), [(t, SECOND, y) for t, y in texts()])}
TRAIN = "--epochs 1 --device cpu --max-length 32 --on-collapse go-on --json"
EMOJI = ["😀 😀 😀", "🚗🚗", "👩‍👩‍👧"]
CHINESE = ["这本书是约翰写的。", "猫在睡觉。"]


def cases() -> list[Case]:
    """All of them."""
    return [*_kinds(), *_heads(), *_unknown(), *_typed()]


def _python(what: str, code: str, check: Check | None = None, slow: bool = False) -> Case:
    return Case(4, what, "import acceptor\n" + code, check or asserts, slow=slow)


def raises(code: str, *words: str, imports: str = "", error: str = "DataError|UsageError") -> str:
    """A program that is right if ``code`` raises such an error with these words."""
    inner = "\n".join(f"    {line}" for line in code.splitlines())
    errors = "".join(f"acceptor.{name}, " for name in error.split("|"))
    return with_words(RAISES, IMPORTS=imports, CODE=inner, ERRORS=errors, WORDS=repr(words))


def _kinds() -> list[Case]:
    """Singles and pairs."""
    wrong = refused("pairs?\\b", "single|one sentence|second")
    blimp = jsonl([{"sentence_good": "the cats sleep.", "sentence_bad": "the cat them sleep.", "UID": "x"}] * 5)
    load = "judge = acceptor.load('{}', device='cpu', precision='fp32')\n"
    frame = (
        "import polars as pl\nframe = pl.DataFrame({'sentence1': ['the cats sleep.'], 'sentence2': ['the book.']})\n"
    )
    singles = "import polars as pl\nframe = pl.DataFrame({'sentence': ['the cats sleep.']})\n"
    return [
        Case(4, "judge.json says whether it learnt pairs", with_words(PAPERS), asserts),
        Case(
            4,
            "singles to a judge of pairs, evaluate",
            "acceptor evaluate {pairs} x.tsv --json",
            refused("pairs?\\b"),
            {"x.tsv": tsv(HEAD, simple(ENTAIL))},
        ),
        Case(4, "pairs to a judge of singles, evaluate", "acceptor evaluate {run} x.tsv --json", wrong, BINARY_PAIRS),
        Case(
            4,
            "singles to a judge of pairs, predict",
            "acceptor predict {pairs} x.tsv -o y.jsonl --json",
            wrong,
            SINGLES,
        ),
        Case(4, "pairs to a judge of singles, predict", "acceptor predict {run} x.tsv -o y.jsonl --json", wrong, PAIRS),
        Case(
            4,
            "pairs to a judge of singles, predict on the terminal",
            "acceptor predict {run} x.tsv --json",
            wrong,
            PAIRS,
        ),
        Case(
            4,
            "pairs' first sentences, by --columns",
            "acceptor predict {run} x.tsv --columns sentence=sentence1,other=sentence2 -o y.jsonl --json",
            shows(f'"written": {N}'),
            PAIRS,
        ),
        Case(
            4,
            "a sentence to a judge of pairs, judge",
            "acceptor judge {pairs} 'the cats sleep.' --json",
            refused("pairs?\\b"),
        ),
        Case(
            4,
            "a line on stdin to a judge of pairs, judge",
            "acceptor judge {pairs} --json",
            refused("pairs?\\b"),
            stdin="the cats sleep.\n",
        ),
        Case(
            4,
            "minimal pairs to a judge of pairs",
            "acceptor pairs {pairs} x.jsonl --good entailment --json",
            refused("pairs?\\b"),
            {"x.jsonl": blimp},
        ),
        Case(
            4,
            "seconds to an exported judge of singles",
            "acceptor predict {onnx} x.tsv -o y.jsonl --json",
            wrong,
            PAIRS,
            slow=True,
        ),
        Case(
            4,
            "singles to a judge of pairs, Python",
            raises(load.format("{pairs}") + "judge(['the cats sleep.'])", "pair"),
            asserts,
        ),
        Case(
            4,
            "pairs to a judge of singles, Python",
            raises(load.format("{run}") + "judge(['the cats sleep.'], ['the book.'])", "pair|second"),
            asserts,
        ),
        Case(
            4,
            "pairs to a judge of singles, annotate",
            raises(load.format("{run}") + frame + "judge.annotate(frame)", "pair|second"),
            asserts,
        ),
        Case(
            4,
            "singles to a judge of pairs, annotate",
            raises(load.format("{pairs}") + singles + "judge.annotate(frame)", "pair|second"),
            asserts,
        ),
        Case(
            4,
            "pairs to a judge of pairs stay right",
            "acceptor evaluate {pairs} x.tsv --json",
            lambda result: "" if result.json.get("n") == N else result.err[:160],
            PAIRS,
        ),
        Case(
            4,
            "compare judges of pairs and of singles on pairs",
            "acceptor compare {run} {pairs} --data x.tsv --json",
            refused(),
            BINARY_PAIRS,
        ),
    ]


def _heads() -> list[Case]:
    """A run used as encoder."""
    ham = {"x.tsv": tsv(HEAD, simple(("ham", "spam"), n=120, seed=4))}
    same = {"x.tsv": tsv(HEAD, simple(n=120, seed=4))}
    train = f"acceptor train x.tsv --encoder {{run}} {TRAIN} --out out"

    heads = with_words(HEADS, ROWS=repr(simple(n=120, seed=4)))
    leaked = {
        "x.tsv": tsv(HEAD, simple(n=120, seed=4)),
        "test.tsv": tsv(HEAD, [(t, y) for t, y in simple(n=200, seed=11)][:60]),
    }

    def found(result: Result) -> str:
        if result.code:
            return f"exit code {result.code}: {result.err.strip()[:160]}"
        leaks = json.loads((result.folder / "out" / "report.json").read_text("utf-8"))["test"]["leaked"]
        return "" if leaks >= 60 else f"{leaks} of 60 rows count as leaked"

    keep = f"{train} --keep-head"
    return [
        Case(4, "a run as encoder: a new head for each seed", heads, asserts, slow=True),
        Case(
            4,
            "a 0/1 run as encoder for ham/spam: a new head",
            train,
            all_of(shows(), _judges("ham", "spam")),
            ham,
            slow=True,
        ),
        Case(4, "--keep-head with equal labels", keep, shows(), same, slow=True),
        Case(
            4,
            "--keep-head with other labels",
            keep,
            refused("labels", "acceptable|0", "ham", error="UsageError|DataError|EncoderError|RunError"),
            ham,
            slow=True,
        ),
        Case(
            4,
            "--keep-head on an encoder without a head",
            keep.replace("{run}", "{encoder}"),
            refused("head", error="UsageError|DataError|EncoderError|RunError"),
            same,
            slow=True,
        ),
        Case(
            4,
            "rows that the encoder was trained on count as leaked",
            f"{train} --test test.tsv",
            found,
            leaked,
            slow=True,
        ),
    ]


def _judges(*labels: str) -> Check:
    def check(result: Result) -> str:
        found = json.loads((result.folder / "out" / "judge.json").read_text("utf-8"))["labels"]
        return "" if found == list(labels) else f"labels {found}"

    return check


def _unknown() -> list[Case]:
    """Inputs that have no token of the vocabulary."""
    unknown = "unknown|vocabulary"
    mixed = [("the cats sleep.", "1"), (EMOJI[0], "1"), ("the cat them see.", "0"), (CHINESE[0], "0")] * 6
    mixed = [(f"{t} book" if t.isascii() else t, y) for t, y in mixed]

    def flagged(result: Result) -> str:
        if result.code:
            return ends_cleanly(result) or ("" if re.search(unknown, result.text) else f"exit code {result.code}")
        rows = [json.loads(line) for line in (result.folder / "y.jsonl").read_text("utf-8").splitlines()]
        judged = [
            row for row in rows if not row["sentence"].isascii() and row.get("verdict") and not row.get("unknown")
        ]
        if judged:
            return f"judged: {judged[0]}"
        return "" if re.search("unknown|vocabulary", result.text, re.IGNORECASE) else "the tally does not say why"

    one = {"x.txt": "\n".join(["the cats sleep.", *EMOJI, *CHINESE]) + "\n"}
    found = []
    for what, text in (
        ("emoji", EMOJI[0]),
        ("Chinese", CHINESE[0]),
        ("Cyrillic", "книга там"),
        ("Devanagari", "किताब वहाँ है"),
    ):
        found.append(
            Case(
                4,
                f"all unknown ({what}), judge: rejected",
                f"acceptor judge {{run}} '{text}' --json",
                any_of(refused(unknown), shows("rejected|reject", unknown), shows('"unknown": (true|1)')),
            )
        )
    return [
        *found,
        Case(4, "all unknown, Python: rejected or flagged", with_words(ALL_UNKNOWN, TEXTS=repr(EMOJI)), asserts),
        Case(
            4,
            "all unknown, predict: rejected rows, tallied",
            "acceptor predict {run} x.txt -o y.jsonl --json",
            flagged,
            one,
        ),
        Case(
            4,
            "all unknown, predict on the terminal",
            "acceptor predict {run} x.txt",
            any_of(refused(unknown), shows(unknown)),
            one,
        ),
        Case(
            4,
            "the share of unknown tokens, audit --encoder",
            "acceptor audit x.tsv --encoder {encoder} --json",
            shows("unknown"),
            {"x.tsv": tsv(HEAD, mixed)},
        ),
        Case(
            4,
            "unknown tokens are few: verdicts stay",
            "acceptor predict {run} x.txt -o y.jsonl --json",
            shows('"written": 2'),
            {"x.txt": "the cats sleep 😀.\nthe cat them see.\n"},
        ),
        Case(
            4,
            "evaluate on another script",
            "acceptor evaluate {run} x.tsv --json",
            any_of(refused(unknown), shows(unknown)),
            {"x.tsv": tsv(HEAD, [(f"{CHINESE[n % 2]}{n}", str(n % 2)) for n in range(8)])},
        ),
        Case(
            4,
            "all unknown, exported judge",
            "acceptor judge {onnx} '😀 😀' --json",
            any_of(refused(unknown), shows(unknown)),
            slow=True,
        ),
    ]


def _typed() -> list[Case]:
    """Markers typed into the text, empty seconds, a length that leaves no text, a tokenizer of another kind."""
    marked = {"x.tsv": tsv(HEAD, [(f"[CLS] {t} [SEP]", y) for t, y in simple()])}
    roberta = {"x.tsv": tsv(HEAD, [(f"<s> {t} </s>", y) for t, y in simple()])}
    some = {"x.tsv": tsv(HEAD, [(f"[CLS] {t} [SEP]" if n % 5 == 0 else t, y) for n, (t, y) in enumerate(simple())])}
    words = ("special tokens?\\b|markers?\\b|already|typed",)
    warned = any_of(shows(*words), refused(*words))
    empty = {
        "x.tsv": tsv(
            ("sentence1", "sentence2", "label"),
            [(t, "" if n == 6 else SECOND, ENTAIL[y]) for n, (t, y) in enumerate(texts())],
        )
    }

    train = f"acceptor train x.tsv --encoder {{encoder}} {TRAIN} --out out"
    short = (
        f"acceptor train x.tsv --encoder {{encoder}} {TRAIN.replace('--max-length 32', '--max-length {n}')} --out out"
    )
    pairs = {"x.tsv": PAIRS["x.tsv"]}
    return [
        Case(
            4, "[CLS] … [SEP] in every text, audit", "acceptor audit x.tsv --encoder {encoder} --json", warned, marked
        ),
        Case(4, "[CLS] … [SEP] in every text, audit without an encoder", "acceptor audit x.tsv --json", warned, marked),
        Case(4, "[CLS] … [SEP] in every text, train", train, warned, marked, slow=True),
        Case(4, "[CLS] … [SEP] in some texts, audit", "acceptor audit x.tsv --json", warned, some),
        Case(
            4,
            "<s> … </s>, audit",
            "acceptor audit x.tsv --json",
            any_of(shows(*words), refused(*words)),
            roberta,
        ),
        Case(4, "[CLS] … [SEP], evaluate", "acceptor evaluate {run} x.tsv", warned, marked),
        Case(4, "[CLS] … [SEP], judge", "acceptor judge {run} '[CLS] the cats sleep. [SEP]'", warned),
        Case(4, "an empty second sentence, audit", "acceptor audit x.tsv --json", refused("second", "line 8"), empty),
        Case(
            4,
            "an empty second sentence, evaluate",
            "acceptor evaluate {pairs} x.tsv --json",
            refused("second", "line 8"),
            empty,
        ),
        Case(
            4,
            "a blank second sentence, Python",
            raises(
                "judge = acceptor.load('{pairs}', device='cpu', precision='fp32')\njudge(['the cats sleep.'], [' '])",
                "empty|blank",
            ),
            asserts,
        ),
        Case(
            4,
            "--max-length 4 leaves pairs no text",
            short.replace("{n}", "4"),
            refused("max.length", error="UsageError|DataError"),
            pairs,
            slow=True,
        ),
        Case(
            4,
            "--max-length 4 leaves sentences two tokens: reported",
            short.replace("{n}", "4"),
            any_of(refused("max.length"), shows("cut|truncat")),
            SINGLES,
            slow=True,
        ),
        Case(
            4,
            "--max-length 2 leaves no text",
            short.replace("{n}", "2"),
            refused("max.length", error="UsageError|DataError"),
            SINGLES,
            slow=True,
        ),
        Case(
            4,
            "--max-length 3 leaves one token",
            short.replace("{n}", "3"),
            any_of(refused("max.length"), shows("cut|truncat")),
            SINGLES,
            slow=True,
        ),
        Case(
            4,
            "a tokenizer that needs MeCab",
            MECAB,
            refused("MeCab|fugashi|Japanese|word_tokenizer", error="EncoderError|UsageError"),
            SINGLES,
            process=True,
        ),
    ]
