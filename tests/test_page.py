"""The judge's page: in a browser, opened from the disk, it judges as the exported file does; nothing leaves it."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import os
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acceptor
from acceptor import page as files
from acceptor.exporting import page as exporting
from acceptor.exporting.wordpiece import wordpiece
from acceptor.judging.description import described
from acceptor.model.encode import encode
from acceptor.serve.v1 import OneModel
from browser import CHROMIUM
from conftest import COLA, REPOSITORY, needs_minilm, raises, toy_rows
from tiny import TEXTS, make_tokenizer

sys.path.insert(0, str(REPOSITORY))

from reliability.outputs import STRINGS

MODULES = REPOSITORY / "node_modules"
REQUIRED = os.environ.get("ACCEPTOR_TEST_BROWSER") == "required"
HAS = {name: importlib.util.find_spec(name) is not None for name in ("playwright", "axe_playwright_python")}
needs_browser = pytest.mark.skipif(
    not REQUIRED and (CHROMIUM is None or not all(HAS.values())), reason="no Chromium, or no Playwright, is installed"
)
needs_runtime = pytest.mark.skipif(
    not REQUIRED and not (MODULES / exporting.DIST).is_dir(), reason="ONNX Runtime Web is not installed: make page"
)
pytestmark = [needs_browser, needs_runtime]

SENTENCES = [
    *[sentence for sentence, _ in toy_rows(40, 2)],
    *TEXTS[:6],
    "The [SEP] cat <pad> slept.",
    "the Zebra " * 40,
]
HOSTILE = ("<img src=x onerror=hit=1>", "</script><script>hit=1</script>")
WIDTHS = (390, 820, 1440)


# ---------------------------------------------------------------------- tokens


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def odd_texts() -> list[str]:
    """Texts of all kinds of characters: random ones, and what real text and attackers bring."""
    rng = random.Random(0)
    kinds = [
        (0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x400), (0x400, 0x530), (0x590, 0x700), (0x900, 0xE00),
        (0x1100, 0x1200), (0x1E00, 0x2070), (0x20D0, 0x2100), (0x2E00, 0x3130), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4),
        (0xE000, 0xE010), (0xF900, 0xFB00), (0xFE00, 0x10000), (0x1D100, 0x1D200), (0x1F000, 0x1FB00),
        (0x20000, 0x20020), (0x2F800, 0x2F820), (0xE0000, 0xE0100), (0, 0x20), (0x7F, 0xA0), (0x10000, 0x110000),
    ]  # fmt: skip
    made = []
    for _ in range(3000):
        some = [rng.choice(kinds) for _ in range(rng.randint(1, 3))]
        text = "".join(chr(rng.randrange(*rng.choice([*some, (0x61, 0x7B)]))) for _ in range(rng.randint(1, 24)))
        made.append("".join(" " if 0xD800 <= ord(one) < 0xE000 else one for one in text))
    given = [
        *("", " ", "[CLS]", "[SEP] and [MASK]", "a[PAD]b", "<s>x</s>", "ΑΣ ΣΑΣ ς", "İstanbul ıI", "ﬁne ﬂow", "ǅ Ǆ"),
        *(
            "e\u0301\u0323 a\u0323\u0301",
            "가각힣",
            "中文句子，標點。𠀀",
            "👩‍👩‍👧‍👦 🇩🇪 👍🏽",
            "ß ẞ ŉ",
            "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
            "Ω Å K",
        ),
        *("a\u200bb\u00adc\ufeffd", "a\u0000b\ufffdc", "\u2028line\u2029s\x85", "x" * 101, "x" * 99 + "é"),
        *("don't — “quotes” … 100%", "naïve café", "ก็ำ", "नमस्ते दुनिया", "مرحبا بالعالم", "the cat " * 300, "中" * 600),
        *STRINGS,
    ]
    return [*given, *made, *TEXTS[:6]]


def ids_in_the_browser(browser, judge, texts, seconds=None):
    tab = browser.new_page()
    code = exporting._in_one_scope(files.read("tokenizer.js"))
    found = tab.evaluate(
        "([about, texts, seconds]) => {" + code + "; const tokenizer = new Tokenizer(about);"
        "return texts.map((text, row) => { const one = tokenizer.encode(text, seconds?.[row] ?? null);"
        "return [one.ids, one.types, one.truncated, one.unknown, one.allUnknown]; }); }",
        [wordpiece(judge), texts, seconds],
    )
    tab.close()
    return found


def ids_in_python(judge, texts, seconds=None):
    found = encode(judge.tokenizer, texts, seconds, max_length=judge.max_length)
    types = np.zeros_like(found.ids) if found.type_ids is None else found.type_ids
    flags = zip((found.cut > 0).tolist(), found.has_unknown.tolist(), found.all_unknown.tolist(), strict=True)
    ends = found.offsets
    return [
        [found.ids[ends[row] : ends[row + 1]].tolist(), types[ends[row] : ends[row + 1]].tolist(), *three]
        for row, three in enumerate(flags)
    ]


def check_ids(browser, judge, texts):
    assert ids_in_the_browser(browser, judge, texts) == ids_in_python(judge, texts)
    seconds = texts[1:] + texts[:1]
    assert ids_in_the_browser(browser, judge, texts, seconds) == ids_in_python(judge, texts, seconds)


class WithTokenizer:
    """As much of a judge as its tokenizer needs."""

    def __init__(self, tokenizer: Any, max_length: int):
        self.tokenizer, self.max_length = tokenizer, max_length


@pytest.mark.parametrize("kind", ["wordpiece", "mpnet"])
def test_the_page_reads_text_as_python_does(browser, kind):
    check_ids(browser, WithTokenizer(make_tokenizer(kind), 32), odd_texts())


@needs_minilm
def test_the_page_reads_text_as_python_does_with_a_real_vocabulary(browser):
    from acceptor.model.pretrained import find_encoder
    from acceptor.model.tokenizer import load_tokenizer

    texts = odd_texts()
    if COLA.is_dir():
        texts += [
            line.split("\t")[3] for line in (COLA / "raw" / "in_domain_train.tsv").read_text("utf-8").splitlines()
        ]
    check_ids(browser, WithTokenizer(load_tokenizer(find_encoder("minilm").folder), 24), texts)


def test_a_cased_tokenizer_that_keeps_accents(browser):
    from tokenizers import normalizers

    tokenizer = make_tokenizer("wordpiece")
    tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=False, strip_accents=False, handle_chinese_chars=False, clean_text=False
    )
    check_ids(browser, WithTokenizer(tokenizer, 32), odd_texts())


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_other_tokenizers_are_refused(kind):
    with raises(acceptor.UsageError, "E-USAGE-JUDGE", expected="WordPiece", next="judge.onnx"):
        wordpiece(WithTokenizer(make_tokenizer(kind), 32))


def test_added_words_are_refused():
    tokenizer = make_tokenizer("wordpiece")
    tokenizer.add_tokens(["catdog"])
    with raises(acceptor.UsageError, "E-USAGE-JUDGE", found="catdog"):
        wordpiece(WithTokenizer(tokenizer, 32))


# ---------------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def written(judge, toy, tmp_path_factory) -> Path:
    """The toy run as a page in int8."""
    out = tmp_path_factory.mktemp("pages") / "judge.html"
    found = exporting.export_page(judge, out, name="toy", verify=toy.test, runtime=MODULES)
    assert (found.path, found.precision, found.bytes) == (out, "int8", out.stat().st_size)
    return out


@pytest.fixture(scope="module")
def in_fp32(judge, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("pages") / "judge.html"
    exporting.export_page(judge, out, name="toy", precision="fp32", runtime=MODULES)
    return out


def changed(page: Path, folder: Path, **about: Any) -> Path:
    """The page with another description of its judge."""

    def change(found: re.Match[str]) -> str:
        return found[1] + exporting._in_html(json.loads(found[2]) | about)

    out = folder / "judge.html"
    out.write_text(re.sub(r'(id="judge">)([^<]*)', change, page.read_text("utf-8")), "utf-8")
    return out


class Tab:
    """One tab with the page, which records whatever the page asks for or complains about."""

    def __init__(self, browser: Any, place: Path | str, *, ready: str = "body.ready", **settings: Any):
        self.context = browser.new_context(locale=settings.pop("locale", "en"), **settings)
        self.context.set_default_timeout(120_000)
        self.page = self.context.new_page()
        self.requests, self.problems = [], []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))
        self.page.goto(place if isinstance(place, str) else place.as_uri())
        self.page.wait_for_selector(ready)

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def judge(self, sentences: list[str]) -> list[dict[str, Any]]:
        """Types sentences, and copies their verdicts as JSON."""
        self.page.click("#tab-judge")
        self.page.fill("#sentences", "\n".join(sentences))
        self.page.click("#judge-form .primary")
        self.settle("#verdicts")
        assert self.page.locator(".verdict").count() == len(sentences)
        return self.copied("#verdicts", "JSON")

    def settle(self, place: str) -> None:
        """Waits until the work that was just started for a place is done."""
        self.page.wait_for_selector(f"{place}:not([aria-busy])")

    def copied(self, place: str, kind: str) -> Any:
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page.click(f"{place} .copy button:has-text('{kind}')")
        self.page.wait_for_selector(f"{place} .said:has-text('Copied')")
        text = self.page.evaluate("navigator.clipboard.readText()")
        return json.loads(text) if kind == "JSON" else text

    def drop(self, name: str, text: str, *, shows: str = "#file-results table") -> None:
        code = """([name, text]) => {
            const files = new DataTransfer();
            files.items.add(new File([text], name));
            for (const type of ["dragover", "drop"])
                document.body.dispatchEvent(
                    new DragEvent(type, {dataTransfer: files, bubbles: true, cancelable: true}));
        }"""
        self.page.evaluate(code, [name, text])
        self.page.wait_for_selector(shows)
        if shows.endswith("table"):
            self.settle("#file-results")

    def saved(self, kind: str, folder: Path) -> str:
        """The text of the file that the page saves, as TSV or JSON lines."""
        with self.page.expect_download() as caught:
            self.page.click(f"button:has-text('Save as {kind}')")
        caught.value.save_as(folder / "saved")
        return (folder / "saved").read_text("utf-8")


def expected(judge, sentences):
    """The verdicts, their probabilities and margins by Python."""
    encoded = judge.encode(sentences)
    logits = judge.logits_of(encoded)
    margins = judge.decision.margins(logits).tolist()
    return [(one.label, one.probability, margin) for one, margin in zip(judge.verdicts(logits), margins, strict=True)]


def test_verdicts_are_those_of_the_exported_file(browser, judge, toy, written, tmp_path):
    """In int8 a last bit of an activation can round to another integer: see docs/en/howto/page.md."""
    exported = acceptor.load(acceptor.export(judge, tmp_path / "judge.onnx", precision="int8", verify=toy.test).path)
    with Tab(browser, written) as tab:
        found = tab.judge(SENTENCES)
    ours = expected(exported, SENTENCES)
    assert [one["sentence"] for one in found] == SENTENCES
    assert [one["verdict"] for one in found] == [label for label, _, _ in ours]
    assert {one["verdict"] for one in found} == set(judge.labels)
    np.testing.assert_allclose([one["probability"] for one in found], [one[1] for one in ours], atol=0.02)


def test_verdicts_in_fp32_are_those_of_the_run(browser, judge, in_fp32):
    with Tab(browser, in_fp32) as tab:
        found = tab.judge(SENTENCES)
    ours = expected(judge, SENTENCES)
    assert [one["verdict"] for one in found] == [label for label, _, _ in ours]
    np.testing.assert_allclose([one["probability"] for one in found], [one[1] for one in ours], atol=1e-5)
    np.testing.assert_allclose([one["margin"] for one in found], [one[2] for one in ours], atol=1e-4)


@pytest.mark.parametrize("threshold", [0.2, 0.9, None])
def test_temperature_and_threshold_decide(browser, judge, in_fp32, tmp_path, threshold):
    decision = dataclasses.replace(judge.decision, temperature=2.5, threshold=threshold)
    other = dataclasses.replace(judge, decision=decision)
    with Tab(browser, changed(in_fp32, tmp_path, **decision.to_dict())) as tab:
        found = tab.judge(SENTENCES)
        said = tab.text_content("#about")
    ours = expected(other, SENTENCES)
    assert [one["verdict"] for one in found] == [label for label, _, _ in ours]
    np.testing.assert_allclose([one["probability"] for one in found], [one[1] for one in ours], atol=1e-5)
    assert ("from" in said.split("·")[1]) == (threshold is not None)


def test_words_have_the_weights_of_explain(browser, judge, in_fp32):
    sentence = "The cats don't see naïve girls."
    (ours,) = acceptor.explain(judge, [sentence])
    with Tab(browser, in_fp32) as tab:
        tab.judge([sentence])
        tab.click(".why")
        tab.wait_for_selector(".words")
        assert tab.locator(".words .word").all_text_contents() == list(ours.words)
        shown = [text.replace("\u2212", "-") for text in tab.locator(".words .weight").all_text_contents()]
        supports = tab.locator(".words li.supports").count()
        assert tab.get_attribute(".why", "aria-expanded") == "true"
        assert tab.evaluate("document.activeElement.className") == "quiet why"
    np.testing.assert_allclose([float(text) for text in shown], ours.weights, atol=0.006)
    assert supports == sum(weight >= 0 for weight in ours.weights)


def test_two_sentences_and_minimal_pairs(browser, judge, in_fp32):
    good, bad = "the cats see girl.", "the cat them see girl."
    (first, second) = judge.logits([good, bad]).astype(float)
    difference = (first[1] - first[0]) - (second[1] - second[0])
    with Tab(browser, in_fp32) as tab:
        tab.click("#tab-compare")
        tab.fill("#first", bad)
        tab.fill("#second", good)
        tab.press("#second", "Enter")
        tab.wait_for_selector(".card.better")
        found = tab.copied("#comparison", "JSON")
        assert (found["better"], found["second"]["sentence"]) == ("second", good)
        assert abs(found["difference"] + difference) < 1e-4
        tab.click("#tab-pairs")
        tab.fill("#pairs", f"{good}\t{bad}\n\n{bad}\t{good}\n{good}\t{good}\n{good}\t{bad}")
        tab.press("#pairs", "Control+Enter")
        tab.wait_for_selector("table.pairs")
        assert tab.locator(".order").all_text_contents() == ["✓ right", "✕ wrong", "= tie", "✓ right"]
        assert tab.text_content("#pairs-results .headline") == "2 of 4 pairs in the right order"
        assert "63 % (95 % interval 22 % to 91 %, n 4)" in tab.text_content(
            "#pairs-results"
        )  # Wilson, a tie counts half
        assert [abs(one["difference"]) > 1 for one in tab.copied("#pairs-results", "JSON")] == [True, True, False, True]
        tab.fill("#pairs", "one sentence alone")
        tab.press("#pairs", "Control+Enter")
        assert "Line 1" in tab.text_content("#alert")
        # What the page copies comes back: its header is no pair.
        tab.fill("#pairs", f"\nsentence_good\tsentence_bad\n{good}\t{bad}\n")
        tab.press("#pairs", "Control+Enter")
        tab.wait_for_selector(".headline:has-text('1 of 1 pair in the right order')")
        assert tab.text_content("#pairs-results .hint >> nth=1").startswith("The first line has the names")


def test_a_small_difference_is_shown_with_its_sign(browser):
    tab = browser.new_page()
    code = exporting._in_one_scope(files.read("headers.js") + files.read("texts.js"))
    found = tab.evaluate(
        "(numbers) => {" + code + "; return numbers.map(difference); }", [0, 1.234, -0.0049, 0.00078, -2e-8, -0.005]
    )
    tab.close()
    assert found == ["0.00", "+1.23", "−0.005", "+0.0008", "−2e-8", "−0.01"]


def test_stopped_pairs_keep_what_is_done(browser, in_fp32):
    rows = [sentence for sentence, _ in toy_rows(3000, 3)]
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    with Tab(browser, in_fp32) as tab:
        tab.click("#tab-pairs")
        tab.evaluate("(text) => (document.querySelector('#pairs').value = text)", "\n".join(map("\t".join, pairs)))
        tab.evaluate("document.querySelector('#pairs-form').requestSubmit()")
        tab.wait_for_function(STOP)
        tab.wait_for_selector("#alert p")
        tab.wait_for_selector("table.pairs")
        done = len(tab.copied("#pairs-results", "JSON"))
        assert 0 < done < len(pairs)
        assert f"{len(pairs) - done} more pairs were not judged." in tab.text_content("#pairs-results")
        assert f"of {done} pairs in the right order" in tab.text_content("#pairs-results .headline")


def test_a_pair_that_cannot_be_judged_leaves_the_others(browser, in_fp32):
    good, bad = "the cats see girl.", "the cat them see girl."
    with Tab(browser, in_fp32) as tab:
        tab.click("#tab-pairs")
        tab.fill("#pairs", f"{good}\t{bad}\n\n{good}\t🦖\n{good}\t{bad}")
        tab.press("#pairs", "Control+Enter")
        tab.wait_for_selector("table.pairs")
        assert tab.text_content("#pairs-results .headline") == "2 of 2 pairs in the right order, 1 not judged"
        assert "n 2)" in tab.text_content("#pairs-results")
        assert tab.locator("table.pairs .refusal").all_text_contents() == [
            "line 3: The judge knows no part of this text."
        ]
        assert "🦖" in tab.text_content("td:has(> .refusal)")
        found = tab.copied("#pairs-results", "JSON")
        assert ["error" in one for one in found] == [False, True, False]
        rows = [line.split("\t") for line in tab.copied("#pairs-results", "TSV").splitlines()]
        assert rows[0] == ["sentence_good", "sentence_bad", "difference", "error"]
        assert rows[2][2] == ""
        assert rows[2][3].startswith("E-DATA-VOCABULARY: no token")
        tab.fill("#pairs", f"{good}\t{bad}\nall alone")
        tab.press("#pairs", "Control+Enter")
        tab.wait_for_selector("#alert:has-text('Line 2')")
        assert "all alone" in tab.text_content("#alert")
        tab.fill("#pairs", f"{good}\t{bad}\n" * 501)
        tab.press("#pairs", "Control+Enter")
        tab.wait_for_selector(".headline:has-text('501 of 501')")
        assert tab.locator("table.pairs tbody tr").count() == 500
        assert "The first 500 are shown" in tab.text_content("#pairs-results")


def test_a_judge_of_topics_has_no_better_sentence(browser, judge, topic_run, in_fp32, tmp_path):
    assert described(judge, "toy", "fp32")["acceptable"]
    about = described(acceptor.load(topic_run, device="cpu", precision="fp32"), "topics", "fp32")
    assert not about["acceptable"]
    with Tab(browser, changed(in_fp32, tmp_path, **about)) as tab:
        assert [one.is_visible() for one in tab.locator("[role=tab]").all()] == [True, False, False, True]
        found = tab.judge(SENTENCES[:6])
        assert {one["verdict"] for one in found} == {"sports", "politics"}
        assert set(tab.locator(".verdict .mark").all_text_contents()) == {"●"}
        assert tab.locator(".positive, .negative, .label0, .label1").count() == 0


def test_a_sentence_that_is_not_judged_is_counted_and_copied(browser, written):
    with Tab(browser, written) as tab:
        found = tab.judge(["the cats sleep.", "🦖"])
        assert re.fullmatch(r"2 sentences: 1 (un)?acceptable, 1 not judged", tab.text_content(".summary p"))
        assert found[1]["error"]["code"] == "E-DATA-VOCABULARY"
        rows = [line.split("\t") for line in tab.copied("#verdicts", "TSV").splitlines()]
        assert rows[0] == ["sentence", "verdict", "probability", "margin", "error"]
        assert (rows[1][4], rows[2][1:4]) == ("", ["", "", ""])
        assert rows[2][4].startswith("E-DATA-VOCABULARY: no token")
        tab.drop("one.tsv", "sentence\n🦖\n")
        assert tab.text_content("#file-results .headline") == "1 sentence of one.tsv"
        tab.click("button:has-text('Save as TSV')")


def test_a_table_that_is_pasted_as_sentences_is_told(browser, written):
    """Its lines are judged whole, as a person might mean them; but nothing else would say why the verdicts are odd."""
    with Tab(browser, written) as tab:
        tab.judge(["the cats sleep.", "\tthe cats see."])
        assert tab.locator("#verdicts > .hint").count() == 0
        tab.judge(["1\tthe cats sleep.", "2\tthe cats see.", "\tthe cats sleep.\t"])
        assert tab.text_content("#verdicts .hint").startswith("2 lines hold a tab")
        tab.click("#language")
        assert tab.text_content("#verdicts .hint").startswith("有 2 行")


def test_a_long_text_is_shown_whole(browser, written):
    text = "the cats see the garden. " * 200
    with Tab(browser, written) as tab:
        tab.judge([text])
        inside, shown = tab.evaluate(
            "['scrollHeight', 'clientHeight'].map((name) => document.querySelector('.verdict .sentence')[name])"
        )
        assert inside <= shown > 300


def test_the_focus_is_never_lost(browser, in_fp32):
    with Tab(browser, in_fp32) as tab:
        keys = tab.page.keyboard

        def focused():
            return tab.evaluate("document.activeElement.id || document.activeElement.textContent")

        tab.click("#judge-form .primary")
        tab.focus("#alert button")
        keys.press("Enter")
        assert focused() == "sentences"
        tab.click("#tab-pairs")
        tab.click("#pairs-form .primary")
        tab.focus("#alert button")
        keys.press("Enter")
        assert focused() == "pairs"
        tab.click("#tab-judge")
        tab.fill("#sentences", "\n".join(sentence for sentence, _ in toy_rows(400)))
        tab.evaluate("""() => {
            document.querySelector("#judge-form").requestSubmit();
            document.querySelector(".working button").focus();
            document.querySelector(".working button").click();
        }""")
        tab.wait_for_selector("#alert p")
        assert focused() == "Judge"


def test_only_a_line_is_read_out(browser, in_fp32):
    """Not the whole list of results at every change; and no other row is drawn anew for the words of one."""
    with Tab(browser, in_fp32) as tab:
        tab.judge(SENTENCES[:3])
        assert tab.text_content("#said").startswith("3 sentences: ")
        tab.evaluate("document.querySelectorAll('.verdict').forEach((one) => (one.same = true))")
        tab.locator(".why").nth(1).click()
        tab.wait_for_selector(".words")
        assert tab.evaluate("[...document.querySelectorAll('.verdict')].map((one) => one.same ?? false)") == [
            True,
            False,
            True,
        ]
        assert tab.locator("#said").count() == 1
        tab.drop("some.txt", "the cats sleep.\nthe cats.")
        assert tab.text_content("#said") == "2 of 2 rows"
        read = "document.querySelectorAll(':is([aria-live], [role=status]) :is(li, td, .verdict)').length"
        assert tab.evaluate(read) == 0


def test_the_keyboard_alone(browser, written):
    with Tab(browser, written) as tab:
        keys = tab.page.keyboard

        def focused():
            return tab.evaluate("document.activeElement.id || document.activeElement.className")

        seen = []
        while "sentences" not in seen:
            keys.press("Tab")
            seen.append(focused())
            assert len(seen) < 10
        assert seen[0] == "skip"
        keys.type("the cats sleep.")
        keys.press("Enter")
        keys.type("the cat them sleep.")
        keys.press("Control+Enter")
        tab.settle("#verdicts")
        assert tab.locator(".verdict").count() == 2
        for _ in range(10):
            keys.press("Tab")
            if focused() == "quiet why":
                break
        keys.press("Enter")
        tab.wait_for_selector(".words")
        tab.focus("#tab-judge")
        for name in ("compare", "pairs", "file", "judge"):
            keys.press("ArrowRight")
            assert focused() == f"tab-{name}"
            assert tab.is_visible(f"#panel-{name}")
            assert tab.get_attribute(f"#tab-{name}", "aria-selected") == "true"
        keys.press("End")
        keys.press("Tab")
        assert focused() == "file"


def test_the_history(browser, written):
    with Tab(browser, written) as tab:
        tab.judge(["the cats sleep.", "the cat them sleep."])
        tab.judge(["the cats see."])
        assert tab.locator("#history .past").all_text_contents() == [
            "the cats see.", "the cats sleep.", "the cat them sleep.",
        ]  # fmt: skip
        tab.locator("#history button").nth(2).click()
        tab.settle("#verdicts")
        assert tab.locator("#history .past").first.text_content() == "the cat them sleep."
        assert tab.input_value("#sentences") == "the cat them sleep."
        assert tab.locator("#history li").count() == 3
        tab.fill("#sentences", "a draft\nof two lines")
        tab.locator("#history button").nth(0).click()
        tab.settle("#verdicts")
        assert tab.input_value("#sentences") == "the cat them sleep."
        tab.press("#sentences", "Control+z")
        assert tab.input_value("#sentences") == "a draft\nof two lines"
        tab.click("#forget")
        assert tab.locator("#history li").count() == 0
        assert tab.evaluate("document.activeElement.id") == "history-title"
        assert tab.is_visible("#history-empty")


def test_copied_rows_are_tsv(browser, written):
    with Tab(browser, written) as tab:
        found = tab.judge(["the cats sleep.", "the cat them\tsleep."])
        rows = [line.split("\t") for line in tab.copied("#verdicts", "TSV").splitlines()]
    assert rows[0] == ["sentence", "verdict", "probability", "margin"]
    assert rows[2][0] == "the cat them sleep."
    assert [row[1] for row in rows[1:]] == [one["verdict"] for one in found]
    assert [float(row[2]) for row in rows[1:]] == [one["probability"] for one in found]


FILES = {
    "some.txt": ("the cats sleep.\r\n\r\nthe cat them see.\n", ["the cats sleep.", "the cat them see."]),
    "some.tsv": ('id\ttext\n1\tthe cats sleep.\n2\t"the cat"\n3\t\n', ["the cats sleep.", '"the cat"', ""]),
    "some.csv": ('n,Sentence\n1,"cats, they ""sleep""."\n2,the cat.\n', ['cats, they "sleep".', "the cat."]),
    "some.CSV": (  # as pandas writes it, whose first column has no name
        ",sentence,label\n0,the cats.,1\n1,the cat.,0\n",
        ["the cats.", "the cat."],
    ),
    "some.jsonl": ('{"id": 1, "text": "the cats."}\n{"text": "the cat them."}\n', ["the cats.", "the cat them."]),
    "some.json": ('["the cats sleep.", "the cat them see."]', ["the cats sleep.", "the cat them see."]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_dropped_file_is_judged_and_saved(browser, judge, in_fp32, tmp_path, name):
    text, sentences = FILES[name]
    with Tab(browser, in_fp32) as tab:
        tab.drop(name, text)
        with tab.expect_download() as caught:
            tab.click("button:has-text('Save as JSON lines')")
        caught.value.save_as(tmp_path / "found.jsonl")
        assert caught.value.suggested_filename == "some.verdicts.jsonl"
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text("utf-8").splitlines()]
    kept = [next(one[key] for key in one if key.lower() in ("sentence", "text")) for one in found]
    assert kept == sentences
    judged = [(one, row) for one, row in zip(found, sentences, strict=True) if row]
    assert [one["verdict"] for one, _ in judged] == [
        label for label, _, _ in expected(judge, [row for _, row in judged])
    ]
    assert [one["error"]["code"] for one in found if "error" in one] == ["E-DATA-TEXT"] * sentences.count("")


REFUSED = {  # a file that the command line refuses, and what the page says of it
    "ragged.csv": (
        "sentence,id,id2\nThe cat sleeps.,1,2,extra\nThe cats sleep.,1,2\n",
        [
            "wrong number of columns",
            "line 2",
            "3 columns",
            '4: "The cat sleeps." | "1"',
            "unquoted comma",
            "E-DATA-ROW",
        ],
    ),
    "late.tsv": ("the cats sleep.\t1\n" * 150 + "the cat.\t1\t2\n", ["line 151", "2 columns", "tab", "E-DATA-ROW"]),
    "twice.csv": ("sentence,id,id\nThe cat sleeps.,1,2\n", ["“id”", "line 1", "sentence, id, id", "E-DATA-COLUMN"]),
    "joined.tsv": ("id\tsentence\n1\tthe cats.\nid\tsentence\n2\tthe cat.\n", ["repeats the header", "line 3"]),
    "inside.csv": ('n,sentence\n\n1,The "big" cat\n', ["inside an unquoted cell", "line 3", "E-DATA-QUOTES"]),
    "open.csv": ('n,sentence\n1,"the cat\n2,the cats\n', ["never closed", "line 2", "E-DATA-QUOTES"]),
    "after.csv": ('n,sentence\n1,"the\ncat" sat\n', ["follows a closing quote", "line 3", "E-DATA-QUOTES"]),
    "twice.jsonl": (
        '{"text": "a b"}\n{"text": "a", "text": "b"}\n',
        ["one JSON object", "line 2", "“text”", "E-DATA-ROW"],
    ),
    "deep.json": ('[{"text": "a", "more": [{"a": 1, "a": 2}]}]', ["line 1", "one JSON array", "“a” appears twice"]),
    "broken.jsonl": ('{"text": "the cats."}\n{broken\n', ["one JSON object", "line 2", "{broken", "{…} on each line"]),
    "other.json": ('[{"text": "a"},\n\n 7]', ["one JSON object", "line 3"]),
    "cut.json": ('[{"text": "a"}, {"text": "b"}', ["one JSON array", "E-DATA-FORMAT"]),
    "latin.txt": ("the cats.\nna\xefve\n".encode("latin-1"), ["not UTF-8", "line 2", "CSV UTF-8", "E-DATA-ENCODING"]),
    "wide.txt": ("the cats.".encode("utf-16"), ["UTF-16", "E-DATA-ENCODING"]),
    "unmarked.txt": ("the cats sleep.\n".encode("utf-16-le"), ["UTF-16 without a byte order mark", "CSV UTF-8"]),
    "unmarked.csv": ("n,sentence\n".encode("utf-16-be"), ["UTF-16 without a byte order mark", "line 1"]),
    "empty.jsonl": ("{}\n", ["no column holds sentences", "line 1"]),
    "empty.json": ("[{}]", ["no column holds sentences"]),
    "list.jsonl": ('{"text": "the cats."}\n{"text": ["a", 1]}\n', ["a sentence is not text", "line 2", '["a", 1]']),
    "object.json": ('[{"text": null},\n {"text": {"a": 1}}]', ["a sentence is not text", "line 2", '{"a": 1}']),
    "printed.json": ('{\n  "text": "the cats."\n}\n', ["the file is one JSON object", "E-DATA-FORMAT"]),
    "zeros.txt": (b"the cats\n\0", ["NUL", "line 2", "CSV UTF-8"]),
}


def test_a_file_is_refused_with_its_line_as_the_command_line_does(browser, written, tmp_path):
    from acceptor.data.reading.read import read_table

    with Tab(browser, written) as tab:
        tab.click("#tab-file")
        for name, (content, said) in REFUSED.items():
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
            with pytest.raises(acceptor.DataError) as ours:
                read_table(tmp_path / name)
            tab.set_input_files("#file", tmp_path / name)
            tab.wait_for_selector(f"#alert:has-text('{name} is refused')")
            text = tab.inner_text("#alert")
            assert [one for one in [*said, ours.value.code] if one not in text] == [], (name, text)
            assert tab.locator("#file-results *").count() == 0
        tab.click("#language")
        assert "zeros.txt 被拒绝：文件是二进制的" in tab.text_content(
            "#alert"
        )  # the alert speaks the new language, too
        tab.click("#language")
        assert "zeros.txt is refused" in tab.text_content("#alert")
        assert tab.problems == []


STRICTER = {  # a file that the command line takes: it may be told which column holds what, and asks less of a text
    "number.jsonl": ('{"text": "the cats."}\n{}\n{"text": 7}\n', ["a sentence is not text", "line 3", "E-DATA-TEXT"]),
    "boolean.json": ('[{"text": true}]', ["a sentence is not text", "true", "E-DATA-TEXT"]),
    "alone.json": ('{"text": "the cats."}', ["the file is one JSON object", "E-DATA-FORMAT"]),
    "book.xlsx": ("PK\x03\x04\0\0", ["a workbook", "CSV UTF-8", "E-DATA-ENCODING"]),
}


def test_a_sentence_of_json_is_text(browser, written):
    with Tab(browser, written) as tab:
        for name, (content, said) in STRICTER.items():
            tab.drop(name, content, shows=f"#alert:has-text('{name} is refused')")
            assert [one for one in said if one not in tab.inner_text("#alert")] == []
        tab.drop("one.jsonl", '{"text": "the cats."}\n')
        tab.drop("some.jsonl", '{"id": 1, "meta": {"long": "a long text"}, "wording": "the cats."}\n{"id": null}\n')
        assert tab.locator("table.rows td:last-child").all_text_contents() == ["the cats.", ""]
        tab.select_option(".filter select", label="meta")
        tab.wait_for_selector("#alert:has-text('a sentence is not text')")
        assert tab.evaluate("document.querySelector('.filter select').selectedOptions[0].text") == "wording"
        assert tab.locator("table.rows td:last-child").all_text_contents() == ["the cats.", ""]
        assert tab.problems == []


def test_a_saved_file_holds_all_that_was_in_the_file(browser, in_fp32, tmp_path):
    with Tab(browser, in_fp32) as tab:
        row = '{"id":7,"big":12345678901234567890,"none":null,"text":"the cats \\ud83d\\ude00.","in":{"a": [1.0, 2]}}'
        tab.drop("some.jsonl", row + '\n\n{"verdict": true, "input.verdict": 1e400, "text": "the \\"cat\\", them"}\n')
        first, second = tab.saved("JSON lines", tmp_path).splitlines()
        assert first.startswith(row[:-1] + ',"verdict":"')
        assert second.startswith(
            '{"input.input.verdict":true,"input.verdict":1e400,"text":"the \\"cat\\", them","verdict":"'
        )
        lines = [line.split("\t") for line in tab.saved("TSV", tmp_path).splitlines()]
        assert lines[0][:5] == ["id", "big", "none", "text", "in"]
        assert lines[1][:5] == ["7", "12345678901234567890", "", "the cats 😀.", '{"a": [1.0, 2]}']
        tab.drop("some.json", '[{"text": "the cats.",\n  "n": 0.10},\n {"n": 2, "text": "the cat."}]')
        first, second = tab.saved("JSON lines", tmp_path).splitlines()
        assert first.startswith('{"text":"the cats.","n":0.10,"verdict"')
        assert second.startswith('{"n":2,"text":"the cat.","verdict"')
        tab.drop("some.csv", '2,a\n,"the cats, ""they"""\n,\n')
        assert [line.split("\t")[:2] for line in tab.saved("TSV", tmp_path).splitlines()] == [
            ["column1", "column2"], ["2", "a"], ["", 'the cats, "they"'], ["", ""],
        ]  # fmt: skip
        assert tab.saved("JSON lines", tmp_path).startswith('{"column1":"2","column2":"a",')


READ = {  # the sentences that are judged, and how the file was read
    "names.csv": ('id,utterance,label\n1,"the cats, see.",1\n', ["the cats, see."], True, ","),
    "unknown.csv": (
        "nr;wording\n1;the cats sleep.\n2;the cat sleep.\n3;the cat.\n",
        ["the cats sleep.", "the cat sleep.", "the cat."],
        True,
        ";",
    ),
    "excel.csv": ('sentence;label\n"the cats; they sleep.";1\n', ["the cats; they sleep."], True, ";"),
    "comma.csv": (
        "sentence;label\nthe cats, they sleep.;1\nthe cat.;0\n",
        ["the cats, they sleep.", "the cat."],
        True,
        ";",
    ),
    "declared.csv": ("sep=|\nlabel|text\n1|the cats.\n", ["the cats."], True, "|"),
    "tabs.csv": ("the cats.\t1\nthe cat.\t0\n", ["the cats.", "the cat."], False, "tabs"),
    "prose.csv": ("sentence\nthe cats sleep\nthe cats see\n", ["the cats sleep", "the cats see"], True, None),
    "one.txt": ("sentence\nthe cats sleep.\n", ["the cats sleep."], True, None),
    "table.txt": ("id\ttext\n1\tthe cats.\n", ["the cats."], True, "tabs"),
    "stray.txt": ("the cats.\nthe\tcat; them.\n", ["the cats.", "the\tcat; them."], False, None),
}


@pytest.mark.parametrize("name", READ)
def test_headers_and_separators_are_found_as_the_command_line_finds_them(browser, in_fp32, name):
    content, sentences, header, separator = READ[name]
    with Tab(browser, in_fp32) as tab:
        tab.drop(name, content)
        assert tab.locator("table.rows td:last-child").all_text_contents() == sentences
        assert tab.is_checked("#header") == header
        assert ("separated by" in tab.text_content("#file-results")) == (separator is not None)
        assert f"separated by {separator}" in tab.text_content("#file-results") or separator is None


def test_what_the_first_line_is_can_be_chosen(browser, in_fp32, tmp_path):
    with Tab(browser, in_fp32) as tab:
        tab.drop("some.tsv", "cats\tthe cats sleep.\ngirls\tthe girls see.\n")
        assert tab.locator("table.rows tbody tr").count() == 2
        tab.check("#header")
        tab.wait_for_selector("table.rows tbody:not(:has(tr:nth-child(2)))")
        assert tab.evaluate("document.activeElement.id") == "header"
        assert tab.saved("TSV", tmp_path).startswith("cats\tthe cats sleep.\tverdict\t")
        tab.uncheck("#header")
        tab.wait_for_selector("table.rows tbody tr:nth-child(2)")
        tab.drop("same.tsv", "a\ta\nthe cats.\tb\n")
        tab.page.click("#header")
        tab.wait_for_selector("#alert:has-text('“a”')")
        assert not tab.is_checked("#header")
        assert tab.problems == []


def headed_tables() -> list[list[list[str]]]:
    """Rows of equal width, of all kinds of cells, with and without headers."""
    rng = random.Random(1)
    cells = {
        "name": [
            "id",
            "label",
            "Sentence",
            "text",
            "my column",
            "note",
            "y",
            "question",
            "Question",
            "",
            "句子",
            "Is it so?",
            "0",
            "1",
        ],
        "number": ["1", "2", "3.5", "10", "2024-01-02", "-7", "0"],
        "label": ["0", "1", "yes", "no", "acceptable", "bad"],
        "text": ["the cats sleep", "Who knows?", "a", "it rains.", "the girl sees the boy in the garden", ""],
        "word": ["red", "green", "blue"],
    }
    found = []
    for _ in range(4000):
        kinds = [rng.choice(list(cells)) for _ in range(rng.randint(1, 4))]
        rows = [[rng.choice(cells[kind]) for kind in kinds] for _ in range(rng.randint(1, 9))]
        first = [rng.choice(cells[rng.choice(["name", "name", "word", kind])]) for kind in kinds]
        found.append([first, *rows, *([list(first)] if rng.random() < 0.05 else [])])
    counted = [[str(row), rng.choice(cells["text"])] for row in range(9)]
    return [*found, counted, [["n", "wording"], *counted], [["0", "1"], *counted]]


def test_the_rules_of_headers_are_those_of_python(browser):
    from acceptor.data.reading.grid import Grid
    from acceptor.data.reading.headers import has_header

    tables = headed_tables()
    ours = [
        has_header(Grid("x", "line", None, [list(one) for one in zip(*rows, strict=True)], range(len(rows)), "TSV"), {})
        for rows in tables
    ]
    tab = browser.new_page()
    code = exporting._in_one_scope(files.read("headers.js"))
    found = tab.evaluate("(tables) => {" + code + "; return tables.map(hasHeader); }", tables)
    tab.close()
    assert [rows for rows, one, other in zip(tables, ours, found, strict=True) if one != other] == []
    assert 500 < sum(ours) < 3500


def test_the_known_names_of_columns_are_those_of_python():
    from acceptor.data.reading import cell_kinds, column_names

    text = files.read("headers.js")

    def known(name):
        return json.loads(re.sub(r",\s*\]", "]", re.search(rf"^const {name} = (\[.*?\]);", text, re.M | re.S).group(1)))

    assert known("SENTENCES") == list(column_names.KNOWN_NAMES["sentence"])
    assert known("SECONDS") == list(column_names.KNOWN_NAMES["second"])
    assert known("LABELS") == list(column_names.KNOWN_NAMES["label"])
    assert known("MINIMAL_PAIRS") == [
        name for side in ("sentence_good", "sentence_bad") for name in column_names.PAIR_NAMES[side]
    ]
    assert set(known("COMPANIONS")) == column_names.COMPANIONS
    assert set(known("LABEL_WORDS")) == cell_kinds._LABEL_WORDS


def test_a_saved_file_keeps_columns_that_have_the_names_of_a_verdict(browser, in_fp32, tmp_path):
    with Tab(browser, in_fp32) as tab:
        tab.drop("some.tsv", "sentence\tverdict\nthe cats sleep.\tmine\n")
        for kind in ("TSV", "JSON lines"):
            with tab.expect_download() as caught:
                tab.click(f"button:has-text('Save as {kind}')")
            caught.value.save_as(tmp_path / kind)
    header = (tmp_path / "TSV").read_text("utf-8").splitlines()[0]
    assert header.split("\t") == ["sentence", "input.verdict", "verdict", "probability", "margin"]
    found = json.loads((tmp_path / "JSON lines").read_text("utf-8"))
    assert found["input.verdict"] == "mine"
    assert found["verdict"] != "mine"


def test_a_file_is_filtered(browser, judge, in_fp32, tmp_path):
    rows = [sentence for sentence, _ in toy_rows(150, 3)]
    ours = expected(judge, rows)
    middle = sorted(one[1] for one in ours)[75]
    with Tab(browser, in_fp32) as tab:
        tab.drop("rows.txt", "\n".join(rows))
        assert tab.locator("table.rows tbody tr").count() == 100
        tab.select_option("select:has(option[value=error])", label=judge.labels[1])
        tab.locator(".filter input[type=number]").nth(0).fill(str(middle))
        wanted = [
            row
            for row, (label, share, _) in zip(rows, ours, strict=True)
            if label == judge.labels[1] and share >= middle
        ]
        assert 0 < len(wanted) < 100
        near = sum(abs(one[1] - middle) < 1e-5 for one in ours)
        shown = tab.locator("table.rows tbody tr").count()
        assert abs(shown - len(wanted)) <= near
        with tab.expect_download() as caught:
            tab.click("button:has-text('Save as TSV')")
        caught.value.save_as(tmp_path / "found.tsv")
    lines = (tmp_path / "found.tsv").read_text("utf-8").splitlines()
    assert lines[0].split("\t") == ["sentence", "verdict", "probability", "margin"]
    assert len(lines) == shown + 1
    assert {line.split("\t")[1] for line in lines[1:]} == {judge.labels[1]}


def test_both_languages(browser, written):
    with Tab(browser, written, locale="zh-CN") as tab:
        assert tab.text_content("h1") == "评判句子"
        tab.fill("#sentences", "the cats sleep.")
        tab.press("#sentences", "Control+Enter")
        tab.wait_for_selector(".verdict")
        assert "共 1 句" in tab.text_content(".summary")
        tab.click("#language")
        assert tab.text_content("h1") == "Judge sentences"
        assert "1 sentence:" in tab.text_content(".summary")  # results speak the new language, too
        assert tab.get_attribute("html", "lang") == "en"
        tab.reload()
        tab.wait_for_selector("body.ready")
        assert tab.text_content("h1") == "Judge sentences"


def test_both_languages_have_the_same_words():
    text = files.read("strings.js")
    en, zh = (re.search(rf"^const {name} = \{{(.*?)^\}};", text, re.S | re.M).group(1) for name in ("en", "zh"))
    assert (names := re.findall(r'^  "?([\w.-]+)"?: ', en, re.M)) == re.findall(r'^  "?([\w.-]+)"?: ', zh, re.M)
    used = "".join(files.read(path.name) for path in files.FOLDER.glob("*.[jh]*"))
    dynamic = (
        "error.",
        "E-",
        "part.",
        "better.",
        "pairs.right",
        "pairs.wrong",
        "pairs.tie",
        "compare.first",
        "compare.second",
    )
    assert [name for name in names if f'"{name}' not in used.replace(text, "") and not name.startswith(dynamic)] == []


def test_nothing_leaves_the_page(browser, written):
    """Not even if a script of its own tried."""
    with Tab(browser, written) as tab:
        tab.judge(["the cats sleep."])
        tab.click(".why")
        tab.wait_for_selector(".words")
        assert [url for url in tab.requests if not url.startswith("blob:")] == [written.as_uri()]
        assert tab.problems == []
        tries = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
        assert tab.evaluate(tries) == "refused"
        tab.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
        tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hit = 1'}))")
        assert tab.evaluate("window.hit") is None
        assert sum("Content Security Policy" in problem for problem in tab.problems) >= 3


def attacks() -> list[str]:
    """Sixty sentences that are markup, scripts and attributes."""
    calls = [
        *("<script>{}</script>", "</script><script>{}</script>", "</textarea><script>{}</script>", "]]><b onclick={}>"),
        *("<img src=x onerror={}>", '"><img src=x onerror={}>', "<svg onload={}>", "<details open ontoggle={}>"),
        *("<iframe srcdoc='<script>parent.{}</script>'>", "<a href='javascript:{}'>x</a>", "<!--{}-->", "'-{}-'"),
        *("<style>*{{background:url(javascript:{})}}</style>", "<math><mi xlink:href='data:x,{}'>", "${{{}}}"),
    ]
    codes = ["window.hit=1", "alert(1)", "document.title='hit'", "fetch('//example.com')"]
    return [call.format(code) for call in calls for code in codes]


def test_markup_is_text_everywhere(browser, in_fp32, tmp_path):
    out = changed(in_fp32, tmp_path, labels=HOSTILE, positive=HOSTILE[1], name=HOSTILE[1])
    sentences = attacks()
    assert len(set(sentences)) == 60
    with Tab(browser, out) as tab:
        found = tab.judge(sentences)
        assert {one["verdict"] for one in found} <= set(HOSTILE)
        assert tab.locator(".verdict .sentence").all_text_contents() == sentences
        tab.locator(".why").first.click()
        tab.wait_for_selector(".words")
        tab.click("#tab-pairs")
        tab.fill("#pairs", "\n".join(f"{one}\t{other}" for one, other in itertools.pairwise(sentences)))
        tab.press("#pairs", "Control+Enter")
        tab.wait_for_selector("table.pairs")
        tab.click("#tab-compare")
        tab.fill("#first", sentences[0])
        tab.fill("#second", sentences[1])
        tab.press("#second", "Enter")
        tab.wait_for_selector(".card")
        tab.drop(
            "<img src=x onerror=hit=1>.tsv",
            "sentence\t<svg onload=hit=1>\n" + "\n".join(f"{one}\tx" for one in sentences),
        )
        tab.click("#language")
        tags = set(tab.evaluate("[...document.querySelectorAll('main *')].map((one) => one.tagName.toLowerCase())"))
        assert tags.isdisjoint({"script", "img", "svg", "iframe", "style", "math", "details"})
        assert tab.evaluate("window.hit") is None
        assert HOSTILE[1] in tab.title()
        assert tab.problems == []
        assert [url for url in tab.requests if not url.startswith("blob:")] == [out.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(browser, written, scheme, locale):
    import axe_playwright_python

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
    with Tab(browser, written, color_scheme=scheme, locale=locale, reduced_motion="reduce") as tab:

        def check(where):
            found = tab.evaluate(
                f"(async () => {{ if (!window.axe) {{ {axe} }} return (await axe.run()).violations; }})()"
            )
            assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == [], where
            for width in WIDTHS:
                tab.set_viewport_size({"width": width, "height": 900})
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, (where, width)

        check("empty")
        tab.fill("#sentences", "the cats sleep.\nthe cat them 🦖 " + "longword" * 30 + "\n" + "see " * 60 + "\n🦖")
        tab.press("#sentences", "Control+Enter")
        tab.settle("#verdicts")
        assert tab.locator(".verdict").count() == 4
        tab.locator(".why").first.click()
        tab.wait_for_selector(".words")
        assert tab.locator(".refusal").count() == 1
        assert tab.locator(".flag").count() >= 2
        check("judged")
        tab.click("#tab-compare")
        check("compare, empty")
        tab.click(".example:visible")
        tab.wait_for_selector(".card")
        check("compared")
        tab.click("#tab-pairs")
        check("pairs, empty")
        tab.click(".example:visible")
        tab.wait_for_selector("table.pairs")
        check("pairs")
        tab.click("#tab-file")
        check("file, empty")
        tab.drop("rows.tsv", "id\tsentence\n1\tthe cats sleep.\n2\t\n")
        check("file")
        tab.fill("#pairs", "x") if tab.is_visible("#pairs") else tab.click("#tab-pairs")
        tab.fill("#pairs", "x")
        tab.press("#pairs", "Control+Enter")
        tab.wait_for_selector("#alert p")
        check("alert")


def test_a_judge_of_pairs(browser, pair_run, tmp_path):
    judge = acceptor.load(pair_run.folder, device="cpu", precision="fp32")
    exporting.export_page(judge, tmp_path / "judge.html", name="pairs", precision="fp32", runtime=MODULES)
    firsts, seconds = ["the cats sleep.", "the cat them see."], ["the girl sees.", "boy garden"]
    with Tab(browser, tmp_path / "judge.html") as tab:
        assert [one.is_visible() for one in tab.locator("[role=tab]").all()] == [True, False, False, True]
        found = tab.judge([f"{one}\t{two}" for one, two in zip(firsts, seconds, strict=True)])
        assert tab.locator(".why").count() == 0
        tab.drop("rows.tsv", "sentence1\tsentence2\n" + "\n".join(map("\t".join, zip(firsts, seconds, strict=True))))
        assert tab.locator("table.rows tbody tr").count() == 2
        named = tab.text_content("table.rows tbody")
        tab.drop("rows.tsv", "\n".join(map("\t".join, zip(firsts, seconds, strict=True))))  # without names
        assert tab.text_content("table.rows tbody") == named
        tab.drop("one.txt", "the cats sleep.\n", shows="#alert p")
        assert "one.txt has one column" in tab.text_content("#alert p")
    ours = judge(firsts, seconds)
    assert [one["verdict"] for one in found] == [one.label for one in ours]
    np.testing.assert_allclose([one["probability"] for one in found], [one.probability for one in ours], atol=1e-5)


STOP = """() => {
    const [bar, stop] = [document.querySelector("progress"), document.querySelector(".working button")];
    if (!(bar?.value > 0)) return false;
    stop.click();
    return true;
}"""


def test_a_stopped_file_keeps_its_verdicts_and_can_be_judged_on(browser, judge, in_fp32, tmp_path):
    rows = [sentence for sentence, _ in toy_rows(3000, 3)]
    with Tab(browser, in_fp32) as tab:
        tab.drop("rows.txt", "\n".join(rows), shows=".working")
        tab.wait_for_function(STOP)
        tab.wait_for_selector(".rest")
        assert tab.text_content("#alert p") == "Stopped."
        left = int(tab.text_content(".rest").split()[0])
        assert 0 < left < len(rows)
        saved = [json.loads(line) for line in tab.saved("JSON lines", tmp_path).splitlines()]
        assert sum(one.get("error") == {"code": "unjudged", "message": "not judged"} for one in saved) == left
        tab.click("button:has-text('Judge the rest')")
        tab.wait_for_selector(".working", state="detached")
        tab.wait_for_selector(".rest", state="detached")
        assert tab.evaluate("document.activeElement.textContent") == "Save as TSV"
        found = [json.loads(line) for line in tab.saved("JSON lines", tmp_path).splitlines()]
    assert [one["sentence"] for one in found] == rows
    assert [one["verdict"] for one in found] == [label for label, _, _ in expected(judge, rows)]


def test_a_file_that_other_work_stops_is_told_and_its_progress_speaks_the_language(browser, in_fp32):
    rows = [sentence for sentence, _ in toy_rows(3000, 3)] * 20  # far more than are judged until they are stopped
    with Tab(browser, in_fp32) as tab:
        tab.drop("rows.txt", "\n".join(rows), shows=".working")
        tab.click("#language")
        found = tab.evaluate("""[...document.querySelectorAll(".working")].map((one) =>
            [one.querySelector("button").textContent, one.querySelector("progress").getAttribute("aria-label")])""")
        assert found == [["停止", "正在评判……"]]
        assert tab.text_content(".working [role=status]").startswith("正在评判……")
        tab.click("#language")
        tab.click("#tab-judge")
        tab.fill("#sentences", "the cats sleep.")
        tab.click("#judge-form .primary")
        tab.wait_for_selector("#alert:has-text('rows.txt was stopped: ')")
        tab.wait_for_selector(".verdict")
        left = re.search(r"(\d+) rows are not judged yet", tab.text_content("#alert"))[1]
        tab.click("#tab-file")
        assert tab.text_content(".rest p").startswith(f"{left} rows are not")
        assert tab.problems == []


def test_a_file_on_a_phone_has_its_sentences_on_lines_of_their_own(browser, written):
    with Tab(browser, written) as tab:
        tab.set_viewport_size({"width": 390, "height": 900})
        tab.drop("rows.tsv", "id\tsentence\n1\tthe cats sleep.\n2\t\n3\t" + "the cats see the garden. " * 9 + "\n")
        text, verdict, share = (
            tab.locator(f"table.rows tr:last-child td:nth-child({at})").bounding_box() for at in (3, 1, 2)
        )
        assert text["width"] > 330
        assert verdict["y"] >= text["y"] + text["height"] - 1
        assert abs(verdict["y"] - share["y"]) < 8
        assert verdict["x"] + verdict["width"] <= share["x"] < 390


def test_a_file_that_is_replaced_is_no_longer_judged(browser, judge, in_fp32, tmp_path):
    rows = [sentence for sentence, _ in toy_rows(3000, 3)]
    with Tab(browser, in_fp32) as tab:
        tab.drop("rows.txt", "\n".join(rows), shows=".working")
        tab.drop("broken.jsonl", "{broken\n", shows="#alert:has-text('broken.jsonl is refused')")
        tab.settle("#file-results")
        assert "rows.txt" in tab.text_content("#file-results .headline")  # a file that cannot be read replaces none
        assert "3000 of 3000" in tab.text_content("#file-results .summary")
        # Another column, while the first one is judged: the verdicts are those of the text beside them.
        good, bad = "the cats sleep in the garden.", "the cat them sleep garden."
        tab.drop("two.tsv", f"sentence\tother\n{good}\t{bad}\n" * 1, shows=".filter select")
        tab.select_option(".filter select", label="other")
        tab.wait_for_selector(f"table.rows td:has-text('{bad}')")
        (found,) = [json.loads(line) for line in tab.saved("JSON lines", tmp_path).splitlines()]
        assert found["verdict"] == judge([bad])[0].label
        assert tab.locator("#alert p").count() == 0


def test_of_several_files_the_first_is_taken_and_the_page_says_so(browser, written):
    with Tab(browser, written) as tab:
        tab.evaluate("""() => {
            const files = new DataTransfer();
            for (const name of ["a.txt", "b.txt", "c.txt"]) files.items.add(new File(["the cats sleep."], name));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
        }""")
        tab.wait_for_selector("#file-results table")
        assert "1 sentence of a.txt" in tab.text_content("#file-results")
        assert "2 others were left out" in tab.text_content("#file-results")


def test_work_can_be_stopped(browser, in_fp32):
    with Tab(browser, in_fp32) as tab:
        tab.fill("#sentences", "\n".join(sentence for sentence, _ in toy_rows(200)))
        tab.evaluate("""() => {
            document.querySelector("#judge-form").requestSubmit();
            document.querySelector(".working button").click();
        }""")
        tab.wait_for_selector("#alert p")
        assert tab.text_content("#alert p") == "Stopped."
        assert tab.locator(".verdict").count() == 0
        assert len(tab.judge(["the cats sleep."])) == 1


def test_a_stopped_list_keeps_the_verdicts_that_are_done(browser, judge, in_fp32):
    rows = [sentence for sentence, _ in toy_rows(3000, 3)]
    with Tab(browser, in_fp32) as tab:
        tab.fill("#sentences", "\n".join(rows))
        tab.evaluate("document.querySelector('#judge-form').requestSubmit()")
        tab.wait_for_function(STOP)
        tab.wait_for_selector("#alert p")
        tab.wait_for_selector(".verdict")
        done = int(tab.text_content("#verdicts .summary p").split()[0])
        hint = tab.text_content("#verdicts .hint")
        assert f"{len(rows) - done} more sentences were not judged." == hint
        shown = tab.locator(".verdict .sentence").all_text_contents()
        assert set(shown) <= set(rows)
        again = tab.judge(shown[:3])
        assert tab.locator("#verdicts .hint").count() == 0
        assert [one["verdict"] for one in again] == [label for label, _, _ in expected(judge, shown[:3])]


REPLACE = """() => {
    if (!(document.querySelector("progress")?.value > 0)) return false;
    document.querySelector("#sentences").value = "the cats sleep.";
    document.querySelector("#judge-form").requestSubmit();
    return true;
}"""


def test_a_list_that_another_one_replaces_draws_nothing(browser, in_fp32):
    """Nor does it go into the history: what it has done by then belongs to no list that is shown."""
    with Tab(browser, in_fp32) as tab:
        tab.fill("#sentences", "\n".join(sentence for sentence, _ in toy_rows(3000, 3)))
        tab.evaluate("document.querySelector('#judge-form').requestSubmit()")
        tab.wait_for_function(REPLACE)
        tab.wait_for_selector(".verdict")
        tab.settle("#verdicts")
        assert tab.locator(".verdict").count() == 1
        assert tab.locator("#history li").count() == 1
        assert tab.locator("#verdicts .hint").count() == 0


def test_a_damaged_page_says_so(browser, written, tmp_path):
    text = written.read_text("utf-8")
    cut = re.sub(r'(<script type="application/gzip" id="network">.{1000})[^<]*', r"\1", text)
    assert len(cut) < len(text)
    (tmp_path / "cut.html").write_text(cut, "utf-8")
    context = browser.new_context(locale="en")
    tab = context.new_page()
    tab.goto((tmp_path / "cut.html").as_uri())
    tab.wait_for_selector("#alert p")
    assert "went wrong" in tab.text_content("#alert")
    context.close()


# ---------------------------------------------------------------------- writing it


def test_the_command(browser, toy_run, toy, tmp_path, run_cli):
    rows = tmp_path / "rows.tsv"
    rows.write_text("\n".join(f"{sentence}\t{label}" for sentence, label in toy_rows(40, 2)))
    out = tmp_path / "judge.html"
    code, stdout, _ = run_cli("export", toy_run.folder, "-o", out, "--verify", rows, "--runtime", MODULES, "--json")
    assert (code, json.loads(stdout)["precision"], json.loads(stdout)["path"]) == (0, "int8", str(out))
    with Tab(browser, out) as tab:
        assert tab.title() == f"{toy_run.folder.name} · Acceptor"
    code, _, stderr = run_cli("export", toy_run.folder, "-o", out, "--verify", rows, "--runtime", MODULES)
    assert (code, "E-USAGE-OUTPUT" in stderr) == (2, True)


def test_the_same_judge_gives_the_same_bytes(judge, in_fp32, tmp_path):
    exporting.export_page(judge, tmp_path / "judge.html", name="toy", precision="fp32", runtime=MODULES)
    assert (tmp_path / "judge.html").read_bytes() == in_fp32.read_bytes()


def test_the_page_says_of_its_judge_what_a_server_says(judge, written):
    """Except for the hash of the judge's files, which it does not have."""
    about = json.loads(re.search(r'id="judge">([^<]*)', written.read_text("utf-8"))[1])
    assert set(about) == set(OneModel.model_fields) - {"version"}
    assert about == described(judge, "toy", "int8")


def test_the_page_holds_no_fingerprint_of_the_training_data(judge, in_fp32):
    """Nor the path of the run or of its encoder: a page is passed on."""
    import base64
    import gzip

    page = in_fp32.read_text("utf-8")
    content = gzip.decompress(base64.b64decode(re.search(r'id="network">([^<]*)', page).group(1)))
    assert b"acceptor.trained_on" not in content
    encoder = judge.encoder["name"]
    assert os.sep in encoder
    for path in (REPOSITORY, encoder, os.path.dirname(encoder)):
        assert os.fsencode(path) not in content
        assert str(path) not in page


def test_without_the_runtime_the_error_names_the_command(judge, tmp_path):
    with raises(acceptor.UsageError, "E-USAGE-EXTRA", found="no such file", next=exporting.INSTALL):
        exporting.export_page(judge, tmp_path / "judge.html", name="toy", runtime=tmp_path)
    folder = tmp_path / exporting.DIST
    folder.mkdir(parents=True)
    for name in exporting.FILES:
        (folder / name).write_bytes(b"other")
    with raises(acceptor.UsageError, "E-USAGE-EXTRA", found="another sha256", expected=exporting.VERSION):
        exporting.export_page(judge, tmp_path / "judge.html", name="toy", runtime=tmp_path)
    with raises(acceptor.UsageError, "E-USAGE-OPTION", next="--verify"):
        exporting.export_page(judge, tmp_path / "judge.html", name="toy", runtime=MODULES)
    assert not (tmp_path / "judge.html").exists()


def test_every_file_of_the_page_is_listed():
    scripts = {path.name for path in files.FOLDER.iterdir() if path.suffix in (".html", ".css", ".js")}
    assert scripts == {*files.SERVED, *files.INSIDE}
    for name in {*files.SERVED, *files.INSIDE}:
        imported = re.findall(r'from "\./([\w-]+\.js)";', files.read(name))
        for group in (files.SERVED, files.INSIDE):
            if name in group and name.endswith(".js"):
                assert set(imported) <= set(group), name
