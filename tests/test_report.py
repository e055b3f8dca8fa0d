"""`report.html`: its content, one file without active content, tested in a real browser."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import itertools
import json
import math
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import acceptor
from acceptor.evaluation.curves import calibration, logit_differences, precision_recall, roc
from acceptor.judging.decision import MOST_PROBABLE
from acceptor.report.card import model_card
from acceptor.report.figures import SERIES, as_svg, drawing, loss_figure
from acceptor.report.folder import read_run
from acceptor.report.html import TEMPLATE, write_report
from acceptor.report.run_figures import strip_figure
from acceptor.report.run_section import highlight_words
from acceptor.report.split_figures import confusion_figure, margin_figure
from acceptor.report.svg import COLOURS, inline
from acceptor.storage.manifest import check_manifest, file_sha256
from acceptor.text import plain
from browser import chromium, needs_browser
from conftest import REPOSITORY, raises, toy_rows

sys.path.insert(0, str(REPOSITORY))

from reliability.outputs import STRINGS


def remade(run, folder, *, change=lambda reports, record: None, frame=lambda frame: frame):
    """A copy of a run's records with a change, and consistent hashes."""
    folder.mkdir(parents=True)
    for name in ("report.json", "run.json", "history.jsonl", "predictions.parquet"):
        shutil.copy(run / name, folder / name)
    reports, record = (json.loads((folder / name).read_text("utf-8")) for name in ("report.json", "run.json"))
    change(reports, record)
    (folder / "report.json").write_text(json.dumps(reports), "utf-8")
    (folder / "run.json").write_text(json.dumps(record), "utf-8")
    frame(pl.read_parquet(folder / "predictions.parquet")).write_parquet(folder / "predictions.parquet")
    files = {path.name: file_sha256(path) for path in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps({"files": files}), "utf-8")
    return folder


class Elements(html.parser.HTMLParser):
    """All start tags with their attributes, and the text of each element by its tag."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def run(toy_config, tmp_path_factory):
    """A run whose validation and test labels are partly wrong: so that the report has errors to show."""
    noisy = {
        name: [
            (text, str(1 - int(label)) if row % 5 == 0 else label)
            for row, (text, label) in enumerate(toy_rows(n, seed))
        ]
        for name, n, seed in (("validation", 48, 1), ("test", 40, 2))
    }
    data = acceptor.load_data(toy_rows(160), **noisy)
    run = acceptor.train(data, out=tmp_path_factory.mktemp("runs") / "toy", config=toy_config)
    assert all(report.interval and report.mcc < 0.9 for report in run.reports.values())
    return run


@pytest.fixture(scope="module")
def toy_page(run, tmp_path_factory):
    return write_report([run.folder], tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture
def report_of(tmp_path):
    """The page of some runs as text."""

    def write(*runs, figures=False, why=0):
        return write_report(runs, tmp_path / "out" / "r.html", figures=figures, why=why).read_text("utf-8")

    return write


# ---------------------------------------------------------------------- one file


def test_the_page_is_one_file_and_its_policy_allows_no_address(toy_page):
    page = toy_page.read_text("utf-8")
    elements = Elements(page)
    for tag, attributes in elements.tags:
        assert tag not in {"iframe", "object", "embed", "img", "base", "foreignobject", "image"}
        assert not [name for name in attributes if name == "style" or name.startswith("on") or name == "src"]
        target = attributes.get("href", attributes.get("xlink:href", "#"))
        assert target.startswith("#") or target == "data:,", target
    policy = next(a["content"] for t, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    ids = Counter(a["id"] for _, a in elements.tags if "id" in a)
    assert max(ids.values()) == 1
    assert {a["href"][1:] for t, a in elements.tags if t == "a"} <= set(ids)
    levels = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(page) < 500_000


def test_the_page_shows_the_records(run, toy_page):
    text = " ".join(" ".join(Elements(toy_page.read_text("utf-8")).text).split())
    for report in run.reports.values():
        low, high = report.interval
        assert f"{report.mcc:.3f} MCC, 95 % interval {low:.3f} to {high:.3f}" in text
        wrong = int((report.predicted != report.split.gold).sum())
        assert f"Confusion, {report.split.name}" in text
        assert report.split.table.sha256[:12] in text
    assert "value, 95 % interval (bootstrap)" in text  # which differs a little from the one in the card
    assert "The intervals under “All scores” are made by a bootstrap, all others from the confusion matrix" in text
    wrong = sum(int((report.predicted != report.split.gold).sum()) for report in run.reports.values())
    assert f"{wrong} of 88 verdicts differ from the gold label" in text
    for sentence in run.reports["test"].split.sentences:
        assert sentence in text
    for item in run.record["derived"]:
        assert item["reason"] in text
    assert run.record["versions"]["torch"] in text


def test_the_same_run_gives_the_same_bytes(run, toy_page, report_of):
    assert report_of(run.folder) == toy_page.read_text("utf-8")


def test_figures_are_beside_the_page_and_the_run_does_not_change(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    page = write_report([folder], folder / "report.html")
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"roc.svg", "roc.png", "test-confusion.svg", "margins.png", "loss.svg"} <= names
    check_manifest(folder)
    assert acceptor.load(folder).labels == run.judge.labels
    first = page.read_bytes()
    assert write_report([folder], page).read_bytes() == first


def test_figures_elsewhere_replace_no_other_picture(run, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "roc.png").write_bytes(b"mine")
    write_report([run.folder], tmp_path / "page.html")
    assert (tmp_path / "figures" / "roc.png").read_bytes() == b"mine"
    assert (tmp_path / "page-figures" / "roc.png").is_file()


def test_figures_of_runs_with_alike_names_are_apart(run, tmp_path):
    alike = [remade(run.folder, tmp_path / name) for name in ("my run", "my-run")]
    page = write_report([*alike, run.folder, run.folder], tmp_path / "page.html").read_text("utf-8")
    assert len(list((tmp_path / "page-figures").glob("*-roc.svg"))) == 4
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert sorted(ids) == sorted(set(ids))


def test_a_fault_of_ours_is_not_blamed_on_the_run(run, tmp_path, monkeypatch):
    monkeypatch.setattr("acceptor.report.run_section.roc_figure", lambda _: [][0])
    with pytest.raises(IndexError):
        write_report([run.folder], tmp_path / "page.html")


def test_a_file_that_is_no_report_is_not_replaced(run, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html><title>mine – report</title>")
    with raises(acceptor.UsageError, "E-USAGE-OUTPUT", problem="is no report", next="-o PAGE.html"):
        write_report([run.folder], mine)
    assert mine.read_text().startswith("<!doctype html><title>mine")
    (tmp_path / "folder.html").mkdir()
    with raises(acceptor.UsageError, "E-USAGE-OUTPUT", problem="is a folder", next="-o PAGE.html"):
        write_report([run.folder], tmp_path / "folder.html")
    first = write_report([run.folder], tmp_path / "page.html", figures=False).read_bytes()
    assert write_report([run.folder], tmp_path / "page.html", figures=False).read_bytes() == first


# ---------------------------------------------------------------------- what must be shown


def test_the_split_that_fitted_the_temperature_is_marked(run, report_of, tmp_path):
    def fitted(reports, record):
        reports["validation"]["temperature"] = reports["test"]["temperature"] = 1.5

    cards = report_of(remade(run.folder, tmp_path / "run", change=fitted)).split("<article")[1:]
    assert ["also used to fit the temperature" in card for card in cards] == [False, True]
    assert ["used for the score only" in card for card in cards] == [True, False]


def test_the_card_marks_the_split_that_fitted_the_temperature(run):
    decision = dataclasses.replace(run.judge.decision, temperature=1.5)
    reports = {name: dataclasses.replace(report, decision=decision) for name, report in run.reports.items()}
    card = model_card("run", reports, run.file)
    marked = [line.split("|")[1].strip() for line in card.splitlines() if line.startswith("| ") and "‡" in line]
    assert [name.split()[0] for name in marked] == ["validation"]
    plainly = {name: dataclasses.replace(one, decision=MOST_PROBABLE) for name, one in reports.items()}
    assert "‡ |" not in model_card("run", plainly, run.file)


@pytest.mark.parametrize("name", ["toy_run", "pair_run"])
def test_the_code_of_the_model_card_runs(name, request, capsys):
    folder = request.getfixturevalue(name).folder
    [code] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL)
    exec(compile(code.replace("PATH/TO/THIS/FOLDER", str(folder)), "README.md", "exec"), {})
    assert "Verdict(" in capsys.readouterr().out


def test_a_split_that_chose_the_checkpoint_is_marked(run, report_of, tmp_path):
    def chosen(reports, record):
        reports["validation"] |= {"selected_on_this_split": True, "threshold": 0.625, "temperature": 1.5}
        record["config"]["select"] = "best"

    assert "also used to choose" not in report_of(run.folder)
    page = report_of(remade(run.folder, tmp_path / "run", change=chosen))
    cards = page.split("<article")[1:]
    assert ["also used to choose the checkpoint and threshold" in card for card in cards] == [False, True]
    assert ["Too good:" in card.split("</article>")[0] for card in cards] == [False, True]


@pytest.mark.parametrize("collapsed", [False, True])
def test_one_verdict_for_all_sentences_has_no_score_and_is_no_collapse_by_itself(run, report_of, tmp_path, collapsed):
    """A collapse has two more signs, which only the training sees."""

    def change(reports, record):
        record["collapsed"] = collapsed
        n = reports["test"]["n"]
        reports["test"] |= {
            "mcc": None,
            "mcc_interval": None,
            "f1": None,
            "collapsed": True,
            "confusion": [[0, n], [0, 0]],
        }

    def one_verdict(frame):
        return frame.with_columns(
            pl.when(pl.col("split") == "test").then(pl.lit("acceptable")).otherwise("verdict").alias("verdict")
        )

    folder = remade(run.folder, tmp_path / "run", change=change, frame=one_verdict)
    page = report_of(folder)
    card = page.split("<article")[1].split("</article>")[0]
    assert "MCC not defined" in card
    assert "F1 not defined" in card
    assert "Every sentence was judged “acceptable”, so the correlation is not defined." in " ".join(card.split())
    marks = ["one verdict", "collapsed"]
    assert [f">{mark}</span>" in card for mark in marks] == [True, collapsed]
    overview = report_of(run.folder, folder).partition('id="overview"')[2].partition("</section>")[0]
    assert [mark in overview for mark in marks] == [not collapsed, collapsed]
    assert not re.search(r"(?<!on )\bnan\b", page, re.IGNORECASE)


def test_slices_leaks_and_all_scores_are_shown_if_the_run_has_them(run, report_of, tmp_path):
    def more(reports, record):
        none = {"mcc": None, "mcc_interval": None, "accuracy": None, "majority": None, "recall": None}
        one = {**none, "value": "only <good>", "n": 11, "recall": 0.91, "recall_interval": [0.62, 0.98]}
        both = {"value": "gj04", "n": 29, "mcc": 0.125, "mcc_interval": [-0.25, 0.5], "accuracy": 0.7, "majority": 0.6}
        few = {**none, "value": "few", "n": 3, "note": "too small (n < 10)"}
        reports["test"]["slices"] = {"source": [both, one, few], "label": [one]}
        reports["test"]["leaked"] = 7
        rest = {"n": 33, "mcc": 0.111, "mcc_interval": [0.0, 0.222], "accuracy": 0.6}
        reports["test"]["without_leaked"] = {**rest, "f1": None, "majority": 0.6}
        reports["test"]["measures"] = {
            "mcc": {"value": -0.1, "low": -0.3, "high": 0.1, "majority": None},
            "ece": {"value": 0.05, "low": 0.01, "high": 0.09, "majority": 0.0},
        }

    page = report_of(remade(run.folder, tmp_path / "run", change=more))
    text = " ".join(" ".join(Elements(page).text).split())
    for words in (
        "Test, by source", "0.125 [−0.250, 0.500]", "recall 0.910 [0.620, 0.980]", "too small (n < 10)", "only <good>",
        "without the 7 that are also in train", "0.111 [0.000, 0.222]", "−0.100 [−0.300, 0.100]", "calibration error",
    ):  # fmt: skip
        assert words in text, words
    assert "MCC from −0.3 to 1" in text
    assert "recall from 0 to 1" in text  # where no part has both labels
    bare = remade(run.folder, tmp_path / "bare", change=lambda reports, record: reports["test"].pop("slices", None))
    assert "Test, by" not in report_of(bare)


def test_the_bar_of_the_card_is_not_cut_off(run, report_of, tmp_path):
    def wide(reports, record):
        for name in ("validation", "test"):
            reports[name].update(mcc=0.05, mcc_interval=[-0.31, 0.41])

    card = report_of(remade(run.folder, tmp_path / "run", change=wide)).split("<article")[1]
    places = (("interval", "x1"), ("point", "cx"))
    low, value = (float(re.search(rf'class="{name}" {at}="([\d.]+)%"', card)[1]) for name, at in places)
    assert low == pytest.approx(100 * 0.09 / 1.4, abs=0.1)  # of an axis from -0.4 to 1
    assert value == pytest.approx(100 * 0.45 / 1.4, abs=0.1)


def test_runs_are_shown_side_by_side(run, report_of, tmp_path):
    other = remade(run.folder, tmp_path / "elsewhere" / "toy")
    page = report_of(run.folder, other)
    text = " ".join(Elements(page).text)
    assert "2 runs side by side" in text
    assert page.count('class="run"') == 2
    assert "elsewhere/toy" in text  # two folders with the same name get different names
    levels = [int(tag[1]) for tag, _ in Elements(page).tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def seeds_folder(run, folder, scores):
    """A folder as `acceptor seeds` writes it; a score of None is a collapsed run."""
    entries = []
    for seed, mcc in enumerate(scores):
        entry = {"planned": seed, "seed": seed, "order_seed": seed, "restarted_from": None, "folder": f"seed-{seed}"}
        if mcc is None:
            entries.append({**entry, "status": "collapsed", "scores": None, "error": {"problem": "one verdict only"}})
            continue
        remade(run, folder / f"seed-{seed}")
        each = {"n": 40, "mcc": mcc, "mcc_interval": [mcc - 0.1, mcc + 0.1], "accuracy": 0.6, "f1": 0.5, "loss": 0.7}
        each |= {"majority": 0.6, "selected_on_this_split": False}
        entries.append({**entry, "status": "finished", "scores": {"validation": each, "test": each}})
    known = [mcc for mcc in scores if mcc is not None]
    found = {"n": len(known), "mean": float(np.mean(known)), "sd": float(np.std(known, ddof=1)), "min": min(known)}
    found |= {"max": max(known), "interval": [0.1, 0.9], "expected_maximum": sorted(known), "values": known}
    summary = {split: {"mcc": found} for split in ("validation", "test")}
    record = json.loads((run / "run.json").read_text("utf-8"))
    head = {name: record[name] for name in ("config", "encoder", "data")} | {"labels": list(OLD), "vary": "both"}
    counts = {"n_runs": len(scores), "collapsed": scores.count(None), "failed": 0, "one_verdict": 0}
    content = {**head, "runs": entries, **counts, "summary": summary}
    (folder / "seeds.json").write_text(json.dumps(content), "utf-8")
    return folder


def test_all_scores_of_many_seeds_and_the_median_run_are_shown(run, report_of, tmp_path):
    folder = seeds_folder(run.folder, tmp_path / "many", [0.4, 0.1, None, 0.3])
    text = " ".join(" ".join(Elements(report_of(folder)).text).split())
    for words in (
        "many: 4 trainings",
        "1 collapsed, 0 failed",
        "mean MCC of 3",
        "0.400 [0.300, 0.500]",
        "one verdict only",
    ):
        assert words in text, words
    assert "many, seed 3 (median of 3)" in text
    assert "1 of 4" in text
    assert "Too good" not in text
    record = json.loads((folder / "seeds.json").read_text("utf-8"))
    record["runs"][0]["scores"]["validation"]["selected_on_this_split"] = True
    (folder / "seeds.json").write_text(json.dumps(record), "utf-8")
    assert "also used to choose in each training" in " ".join(Elements(report_of(folder)).text)
    assert "one verdict only not defined not defined" in text  # its row: no score on either split
    entry = json.loads((folder / "seeds.json").read_text("utf-8"))
    entry["runs"][0]["folder"] = "../toy"
    (folder / "seeds.json").write_text(json.dumps(entry), "utf-8")
    with raises(acceptor.RunError, "E-RUN-FILE", where="seeds.json", found=("runs.0.folder", "../toy")):
        report_of(folder)


def test_sets_of_one_name_have_their_own_figures(run, report_of, tmp_path):
    folders = [tmp_path / place / "many" for place in ("a/x", "b/x")]
    for folder in folders:
        folder.parent.mkdir(parents=True)
        seeds_folder(run.folder, folder, [0.4, 0.1, 0.3])
    page = Elements(report_of(*folders))
    text = " ".join(page.text)
    assert "a/x/many: 3 trainings" in text
    assert "b/x/many: 3 trainings" in text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_more_labels_and_pairs_have_a_page_too(toy_config, report_of, tmp_path):
    rows = [(sentence, "of a garden", str(index % 3)) for index, (sentence, _) in enumerate(toy_rows(90))]
    frame = pl.DataFrame(rows, schema=["sentence", "second", "label"], orient="row")
    data = acceptor.load_data(frame, columns={"sentence": "sentence", "second": "second", "label": "label"})
    config = toy_config.model_copy(update={"epochs": 1, "validation_share": 0.3})
    page = report_of(acceptor.train(data, out=tmp_path / "run", config=config).folder)
    assert "of a garden" in page
    assert "sentences of each label" in page


# ---------------------------------------------------------------------- nothing taken for markup


OLD = ("unacceptable", "acceptable")


def hostile(run, folder):
    """A run in which all names are strings that would be active as HTML."""

    def names(reports, record):
        record["encoder"]["name"] = record["config"]["device"] = STRINGS[28]
        record["derived"] = [{"name": text, "value": text, "reason": text} for text in STRINGS]
        record["data"]["test"]["balance"] = dict.fromkeys(STRINGS, 1)
        for report in (reports["validation"], reports["test"]):
            report["labels"] = [STRINGS[26], "$\\frac{1}{$"]
        row = {"n": 1, "mcc": 0.5, "mcc_interval": [0.1, 0.9], "accuracy": 0.5, "majority": 0.5}
        reports["test"]["slices"] = {STRINGS[27]: [{"value": text, **row} for text in STRINGS]}

    def texts(frame):
        new = [STRINGS[26], "$\\frac{1}{$"]
        pairs = [
            (f"{kind}({old})", f"{kind}({label})")
            for kind in ("p", "logit")
            for old, label in zip(OLD, new, strict=True)
        ]
        frame = frame.rename(dict(pairs))
        cells = [STRINGS[index % len(STRINGS)] for index in range(len(frame))]
        named = {column: frame[column].replace_strict(list(OLD), new) for column in ("gold", "verdict")}
        return frame.with_columns(pl.Series("sentence", cells), pl.Series("source", cells), **named)

    return remade(run, folder, change=names, frame=texts)


def test_hostile_strings_stay_text(run, toy_page, report_of, tmp_path):
    page = report_of(hostile(run.folder, tmp_path / "<script>alert(1)<"), figures=True)
    shown = "".join(char for char in page if char != "\n")
    assert shown.isprintable()
    assert {tag for tag, _ in Elements(page).tags} == {tag for tag, _ in Elements(toy_page.read_text("utf-8")).tags}
    assert page.count("<script") == page.count("</script") == 1
    text = "".join(Elements(page).text)
    for string in STRINGS:
        assert plain(string) in text, string
    figures = list((tmp_path / "out" / "r-figures").glob("*.svg"))
    assert figures
    for svg in figures:
        root = ElementTree.parse(svg).getroot()
        assert not {element.tag.rpartition("}")[2] for element in root.iter()} & {
            "script",
            "image",
            "a",
            "foreignObject",
        }


@pytest.mark.parametrize("losses", [[], [(1, 0.7), (10, 0.5)]], ids=["every step skipped", "some"])
def test_steps_that_were_skipped_leave_a_gap_in_the_losses(losses):
    (axes,) = loss_figure(losses, [(10, 0.6)], "a run").axes
    assert axes.get_xlim() == (0, 10)
    assert list(axes.lines[0].get_xdata()) == [step for step, _ in losses]
    assert as_svg(axes.figure).startswith("<?xml")


def test_legends_of_losses_and_margins_cover_nothing(run):
    """They are above the axes: a curve or a bar may be anywhere inside, and still fit the figure."""
    losses = [(step, 0.7) for step in range(1, 101)]
    splits = list(read_run(run.folder).splits.values())
    for figure in (loss_figure(losses, [(100, 0.6)], "a run"), margin_figure(splits[:1]), margin_figure(splits)):
        figure.canvas.draw()
        axes = figure.axes[0]
        legend = axes.get_legend().get_window_extent()
        assert legend.y0 >= axes.get_window_extent().y1
        assert legend.y1 <= figure._suptitle.get_window_extent().y0
        assert legend.x1 <= figure.bbox.x1


def test_a_scale_without_scores_has_no_numbers():
    nothing = [("validation", [math.nan] * 3)]
    some = [("validation", [0.2, math.nan])]
    ticks = [strip_figure(strips, "MCC", "MCC").axes[0].get_xticks() for strips in (nothing, some)]
    assert [len(each) > 0 for each in ticks] == [False, True]


def test_svg_in_a_page_has_no_style_and_follows_its_theme():
    figure = loss_figure([(1, 0.7), (2, 0.6), (3, 0.5)], [(3, 0.55)], "a <b> & $c$")
    text = str(inline(as_svg(figure), 'shows "<this>"', "one"))
    root = ElementTree.fromstring(text)
    assert "style" not in {key for element in root.iter() for key in element.attrib}
    assert not re.search("#[0-9a-f]{6}", text)
    assert "var(--c0)" in text
    assert root.get("aria-label") == 'shows "<this>"'
    assert "a <b> & $c$" in "".join(root.itertext())
    for element in root.iter():
        for value in element.attrib.values():
            for target in re.findall(r"#([\w-]+)", value):
                assert root.find(f".//*[@id='{target}']") is not None, target


# ---------------------------------------------------------------------- refused


def test_bad_arguments_are_refused(run, report_of, tmp_path):
    with raises(acceptor.RunError, "E-RUN-MISSING", expected="manifest.json", found="without it"):
        report_of(tmp_path)
    with raises(acceptor.UsageError, "E-USAGE-OPTION", problem="runs", next=f"['{run.folder}"[:60]):
        write_report(str(run.folder), tmp_path / "r.html")
    with raises(acceptor.UsageError, "E-USAGE-OPTION", expected="runs/cola", found="[]"):
        write_report([], tmp_path / "r.html")
    with raises(acceptor.UsageError, "E-USAGE-OUTPUT", expected=".html", found="run.json"):
        write_report([run.folder], tmp_path / "run.json")
    with raises(acceptor.UsageError, "E-USAGE-OPTION", found="-1"):
        report_of(run.folder, why=-1)
    shutil.copytree(run.folder, tmp_path / "other")
    with raises(acceptor.UsageError, "E-USAGE-OUTPUT", where="other"):
        write_report([run.folder], tmp_path / "other" / "report.html")
    (tmp_path / "file").touch()
    with raises(acceptor.ResourceError, "E-RESOURCE-WRITE", problem="r.html", where=str(tmp_path / "file")):
        write_report([run.folder], tmp_path / "file" / "r.html")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda reports, record: reports["test"].update(n=39), "40 verdicts of test, but scores of 39 rows"),
        (lambda reports, record: reports["test"].pop("labels"), "test.labels"),
        (lambda reports, record: record.pop("versions"), "versions"),
        (lambda reports, record: reports["test"].update(confusion="many"), "test.confusion"),
    ],
)
def test_records_that_contradict_each_other_are_refused(run, report_of, tmp_path, change, found):
    with raises(acceptor.RunError, "E-RUN-FILE", found=found):
        report_of(remade(run.folder, tmp_path / "run", change=change))


def test_changed_records_and_nan_logits_are_refused(run, report_of, tmp_path):
    odd = remade(
        run.folder,
        tmp_path / "nan",
        frame=lambda frame: frame.with_columns(pl.lit(math.nan).alias("logit(acceptable)")),
    )
    with raises(acceptor.RunError, "E-RUN-FILE", found="a logit of test is not a number"):
        report_of(odd)
    odd = remade(run.folder, tmp_path / "run")
    (odd / "report.json").write_text((odd / "report.json").read_text("utf-8").replace("0", "1", 1), "utf-8")
    with raises(acceptor.RunError, "E-RUN-FILE", where=str(odd / "report.json"), expected="sha256"):
        report_of(odd)


# ---------------------------------------------------------------------- numbers


def test_curves_have_the_areas_of_the_textbook():
    gold, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    assert roc(gold, scores).area == 0.75  # 3 of 4 pairs in order
    assert precision_recall(gold, scores).area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert math.isnan(roc(np.ones(4, dtype=np.int64), scores).area)
    assert len(precision_recall(np.zeros(4, dtype=np.int64), scores).x) == 0


def test_curves_are_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    draw = np.random.default_rng(0)
    gold, scores = draw.integers(0, 2, 500), draw.integers(0, 40, 500) / 40  # many ties
    found, (false, true, _) = roc(gold, scores), roc_curve(gold, scores, drop_intermediate=False)
    assert np.allclose(found.x, false)
    assert np.allclose(found.y, true)
    assert found.area == pytest.approx(roc_auc_score(gold, scores))
    assert precision_recall(gold, scores).area == pytest.approx(average_precision_score(gold, scores))


def test_figures_and_scores_have_the_same_areas(run):
    for report in run.reports.values():
        probabilities = report.decision.probabilities(report.logits)
        confidence = probabilities[np.arange(len(report.split)), report.predicted]
        areas = {
            "roc_auc": roc(report.split.gold, probabilities[:, 1]).area,
            "average_precision": precision_recall(report.split.gold, probabilities[:, 1]).area,
            "ece": calibration(confidence, report.predicted == report.split.gold).error,
        }
        for name, area in areas.items():
            assert area == pytest.approx(report.measures[name].value), name


def test_calibration_is_the_mean_distance_of_bins():
    probability = np.repeat([0.6, 0.9], 50)
    right = np.r_[np.arange(50) < 30, np.arange(50) < 35]  # as sure as right; 0.2 too sure
    found = calibration(probability, right)
    assert found.counts == [50, 50]
    assert found.right == [0.6, 0.7]
    assert found.error == pytest.approx(0.1)
    assert all(low < share < high for share, (low, high) in zip(found.right, found.intervals, strict=True))
    assert sum(calibration(np.random.default_rng(0).uniform(size=1000), np.ones(1000, dtype=bool)).counts) == 1000


def test_margins_and_tints():
    assert logit_differences(np.array([[1.0, 3.0], [2.0, 0.5]])).tolist() == [2.0, -1.5]
    assert logit_differences(np.array([[1.0, 3.0, 2.5]])).tolist() == [0.5]
    parts = highlight_words("A b's c d.", [("A", 2.0), ("b", -1.0), ("'", 0.01), ("s", 0.0), ("c", 0.6), ("x", 9.0e-9)])
    assert "".join(text for text, *_ in parts) == "A b's c d."
    assert not any(tint for _, tint, _ in parts if tint == "p3")
    strong = highlight_words("A b's c d.", [("A", 9.0), ("b", -1.3), ("'", 2.6), ("s", 1.2), ("c", -3.8)])
    assert {text: tint for text, tint, _ in strong if tint} == {"A": "p3", "b": "m1", "'": "p2", "c": "m3"}
    assert highlight_words("A b.", []) == []


def luminance(colour):
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_have_enough_contrast(theme):
    """WCAG 2.2 AA: 4.5 to 1 for text, 3 to 1 for the parts of figures."""
    style = (TEMPLATE / "style.css").read_text("utf-8")
    found = re.findall(r"--(\w[\w-]*): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", style)
    colours = {name: both[theme] for name, *both in found}

    def contrast(name, on="paper"):
        light, dark = sorted((luminance(colours[name]), luminance(colours[on])), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    for name in ("ink", "muted", "accent", "warn"):
        assert contrast(name) >= 4.5, name
    assert contrast("warn", "warn-paper") >= 4.5
    for index in range(len(SERIES)):
        assert contrast(f"c{index}") >= 3, index


def test_the_style_has_nothing_that_no_page_uses():
    style = re.sub(r"/\*.*?\*/", "", (TEMPLATE / "style.css").read_text("utf-8"), flags=re.DOTALL)
    sources = [*TEMPLATE.glob("*.html"), TEMPLATE / "script.js", *TEMPLATE.parent.glob("*.py")]
    used = " ".join(path.read_text("utf-8") for path in sources)
    selectors = [one for one in re.findall(r"([^{};]+)\{", style) if not one.strip().startswith("@")]
    assert len(selectors) > 100
    for selector in selectors:
        bare = re.sub(r"\[[^]]*\]|::?[\w-]+(\(\d\))?", "", selector)
        for compound in re.split(r"[\s,>+~()]+", bare):
            tag, *classes = compound.split(".")
            tag = re.sub(r"^h[1-6]$", "h{{", tag)  # h{{ level }}
            assert tag in ("", "*", "html") or f"<{tag}" in used, selector
            for name in classes:
                # Tints are made of a letter and a number.
                assert re.search(rf"\b{name}\b", used) or re.fullmatch(r"[pm][123]", name), selector
    defined = re.findall(r"(?<![\w(-])--([\w-]+):", style)
    assert set(defined) <= {*re.findall(r"var\(--([\w-]+)\)", style), *COLOURS.values()}
    assert max(map(defined.count, defined)) <= 2  # light and dark in one, and print


# ---------------------------------------------------------------------- words of errors


def test_the_words_of_the_most_confident_errors_are_coloured(run, report_of, monkeypatch):
    monkeypatch.setattr("acceptor.report.run_section.FULL_WEIGHT", 0.01)  # nats: words mean little to so small a judge
    page = report_of(run.folder, why=3)
    rows = re.findall(r"<tr data-right.*?</tr>", page, re.DOTALL)
    tinted_rows = [row for row in rows if 'class="w ' in row]
    assert 1 <= len(tinted_rows) <= 3
    assert all('data-right="0"' in row for row in tinted_rows)
    assert "supports the verdict" in page


# ---------------------------------------------------------------------- the command


def test_the_command_writes_beside_the_run_or_to_out(run_cli, run, tmp_path, monkeypatch):
    folder = remade(run.folder, tmp_path / "run")
    code, out, _ = run_cli("report", folder)
    assert (code, (folder / "report.html").is_file()) == (0, True)
    assert f"written: {folder / 'report.html'}" in out
    monkeypatch.chdir(tmp_path)
    code, out, _ = run_cli("report", folder, run.folder, "--no-figures", "--json")
    assert json.loads(out)["report"] == "report.html"
    assert not (tmp_path / "report-figures").exists()
    code, _, err = run_cli("report", tmp_path, "-o", tmp_path / "r.html")
    assert (code, "code:     E-RUN-MISSING" in err, str(tmp_path) in err) == (1, True, True)


def test_training_by_command_leaves_a_report(run_cli, tiny_bert, tmp_path):
    lines = "".join(f"{label}\t{sentence}\n" for sentence, label in toy_rows(60))
    (tmp_path / "train.tsv").write_text("label\tsentence\n" + lines)
    run = tmp_path / "run"
    code, out, _ = run_cli("train", tmp_path / "train.tsv", "--encoder", tiny_bert, "--epochs", "1", "--out", run)
    assert (code, f"its report: {run / 'report.html'}" in out) == (0, True)
    assert (run / "report.html").stat().st_size > 10_000
    assert "report.html" not in json.loads((run / "manifest.json").read_text("utf-8"))["files"]
    check_manifest(run)


# ---------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


@needs_browser
def test_a_browser_reports_no_problem(browser, toy_page, run, tmp_path):
    several = write_report([run.folder, remade(run.folder, tmp_path / "b")], tmp_path / "several.html", figures=False)
    seeds = write_report(
        [seeds_folder(run.folder, tmp_path / "many", [0.4, 0.1, None, 0.3])], tmp_path / "s.html", figures=False
    )
    for path in (toy_page, several, seeds):
        for width in (360, 820, 1400):
            browser.resize(width)
            browser.open(path)
            assert browser.messages == []
            assert browser.requests == [path.resolve().as_uri()]
            assert browser.evaluate("document.documentElement.scrollWidth") == width
            overlapping = browser.evaluate("getComputedStyle(document.body).fontFamily.startsWith('system-ui')")
            assert overlapping, "the style does not apply"


@needs_browser
def test_long_names_make_no_page_wider_than_its_window(browser, run, tmp_path):
    names = ["x" * 200, "a name of many words " * 12]

    def of_labels(reports, _):
        for report in (reports["validation"], reports["test"]):
            report["labels"] = names

    def of_columns(frame):
        columns = {
            f"{kind}({old})": f"{kind}({new})" for kind in ("p", "logit") for old, new in zip(OLD, names, strict=True)
        }
        labels = {name: frame[name].replace_strict(list(OLD), names) for name in ("gold", "verdict")}
        return frame.rename(columns).with_columns(pl.lit("y" * 200).alias("source"), **labels)

    folder = remade(run.folder, tmp_path / "run", change=of_labels, frame=of_columns)
    page = write_report([folder], tmp_path / "r.html", figures=False)
    for width in (360, 820, 1400):
        browser.resize(width)
        browser.open(page)
        assert browser.evaluate("document.documentElement.scrollWidth") == width
    browser.open(write_report([run.folder], tmp_path / "short.html", figures=False))
    lines = "[...document.querySelectorAll('.verdicts tr:not([hidden]) .judged')].map(cell => cell.clientHeight)"
    assert max(browser.evaluate(lines)) < 50  # a usual label is not broken into two lines


@pytest.mark.parametrize(
    "labels",
    [
        ("unacceptable", "acceptable"),
        ("a long label of some words", "another label of some words"),
        ("no", "perhaps", "yes"),
        ("a long label of some words", "x" * 30, "<script>alert(1)</script>"),
        ("可接受的句子", "不合语法的句子吗", "不知道"),
    ],
)
def test_the_labels_of_a_confusion_matrix_do_not_overlap(labels):
    side = len(labels)
    scores = SimpleNamespace(confusion=np.eye(side, dtype=int).tolist())
    figure = confusion_figure(SimpleNamespace(name="test", scores=scores, labels=labels))
    with drawing():
        figure.canvas.draw()
    [axes] = figure.axes
    rows = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(rows))
    columns = [label for label in axes.get_xticklabels() if label.get_rotation() == 0]
    places = [label.get_window_extent() for label in columns]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(places))
    assert not any(place.overlaps(axes.yaxis.label.get_window_extent()) for place in rows)


@needs_browser
def test_the_policy_blocks_scripts_and_images_put_into_the_page(browser, toy_page):
    browser.open(toy_page)
    browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hit = 1'}))")
    browser.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    browser.evaluate("document.body.setAttribute('onclick', 'window.hit = 1'), document.body.click()")
    assert browser.evaluate("window.hit") is None
    assert len([words for words in browser.messages if "Content Security Policy" in words]) >= 2
    assert browser.requests == [toy_page.resolve().as_uri()]


@needs_browser
def test_hostile_strings_do_nothing_in_a_browser(browser, run, tmp_path):
    page = write_report([hostile(run.folder, tmp_path / "run")], tmp_path / "r.html", figures=False)
    browser.resize(820)
    browser.open(page)
    browser.evaluate("document.querySelector('[name=right]').value = ''")
    browser.evaluate("document.querySelector('.filters').dispatchEvent(new Event('input'))")
    assert browser.messages == []
    assert browser.requests == [page.resolve().as_uri()]
    assert browser.evaluate("document.querySelectorAll('main script, main img, main b:not(.score *)').length") == 0


SHOWN = "[...document.querySelectorAll('.verdicts tbody tr')].filter((row) => row.checkVisibility())"


def choose(browser, name, value):
    browser.evaluate(
        f"{{ const one = document.querySelector('[name={name}]'); one.value = {json.dumps(value)};"
        "one.dispatchEvent(new Event('input', {bubbles: true})) }"
    )


@needs_browser
def test_sentences_can_be_filtered_sorted_and_searched(browser, run, toy_page):
    browser.resize(1400)
    browser.open(toy_page)
    reports = run.reports
    wrong = {name: int((one.predicted != one.split.gold).sum()) for name, one in reports.items()}
    assert browser.evaluate(f"{SHOWN}.length") == min(25, sum(wrong.values()))
    choose(browser, "right", "")
    assert browser.evaluate(f"{SHOWN}.length") == 25
    browser.evaluate("document.querySelector('.more').click()")
    assert browser.evaluate(f"{SHOWN}.length") == 88
    choose(browser, "split", "test")
    assert browser.evaluate("document.querySelector('.count').textContent").endswith("of 40 matching sentences shown")
    choose(browser, "gold", "0")
    gold = int((reports["test"].split.gold == 0).sum())
    assert browser.evaluate("document.querySelector('.count').textContent") == (
        f"{min(25, gold)} of {gold} matching sentences shown"
    )
    choose(browser, "text", "  GARDEN ")
    found = browser.evaluate(f"{SHOWN}.map((row) => row.cells[0].textContent)")
    sentences = zip(reports["test"].split.sentences, reports["test"].split.gold, strict=True)
    assert sorted(found) == sorted(sentence for sentence, label in sentences if label == 0 and "garden" in sentence)
    choose(browser, "text", "")
    assert browser.evaluate("document.querySelector('.verdicts [aria-sort]')") is None  # no column is in order yet
    browser.evaluate("document.querySelector('th[data-key=line] button').click()")
    lines = browser.evaluate(f"{SHOWN}.map((row) => Number(row.dataset.line))")
    assert lines == sorted(lines, reverse=True)
    browser.evaluate("document.querySelector('th[data-key=line] button').click()")
    assert browser.evaluate("document.querySelector('th[data-key=line]').ariaSort") == "ascending"
    assert browser.evaluate("document.querySelector('[name=sort]').value") == "line"
    assert browser.messages == []


@needs_browser
def test_sentences_are_sorted_without_a_head_where_the_page_is_narrow(browser, toy_page):
    """A head that is out of sight takes no focus either (WCAG 2.4.7), so a list sorts the rows."""
    browser.resize(390)
    browser.open(toy_page)
    assert not browser.evaluate("document.querySelector('.verdicts thead button').checkVisibility()")
    choose(browser, "right", "")
    first = browser.evaluate(f"{SHOWN}.map((row) => row.dataset.line)")
    confidence = f"{SHOWN}.map((row) => Number(row.dataset.confidence))"
    choose(browser, "sort", "-confidence")
    found = browser.evaluate(confidence)
    assert found == sorted(found, reverse=True)
    assert browser.evaluate("document.querySelector('th[data-key=confidence]').ariaSort") == "descending"
    choose(browser, "sort", "confidence")
    found = browser.evaluate(confidence)
    assert found == sorted(found)
    choose(browser, "sort", "")
    assert browser.evaluate(f"{SHOWN}.map((row) => row.dataset.line)") == first
    assert browser.evaluate("document.querySelector('.verdicts [aria-sort]')") is None
    assert browser.messages == []


@needs_browser
def test_light_and_dark_follow_the_system_and_the_button(browser, toy_page):
    paper = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('svg [stroke^=var]')).stroke"
    browser.dark(False)
    browser.open(toy_page)
    light, ink = browser.evaluate(paper), browser.evaluate(line)
    browser.dark(True)
    assert browser.evaluate(paper) != light
    assert browser.evaluate(line) != ink
    browser.evaluate("document.querySelector('#theme').click()")
    assert browser.evaluate(paper) == light
    assert browser.evaluate("document.querySelector('#theme').textContent") == "Dark"
    browser.evaluate("document.querySelector('#theme').click()")
    assert browser.evaluate("document.documentElement.dataset.theme") == "dark"
    browser("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate(paper) == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    browser("Emulation.setEmulatedMedia", media="")
    browser.evaluate("localStorage.clear()")
    browser.dark(False)
