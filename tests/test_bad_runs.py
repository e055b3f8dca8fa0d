"""Files of runs that are missing, damaged, or of a newer version: a typed error that names the file and the field."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import acceptor
from acceptor.errors import RunError
from acceptor.report.html import write_report
from acceptor.runs.checkpoint import newest, read_state
from acceptor.runs.folder import read_manifest
from acceptor.runs.history import read_history
from acceptor.runs.judge_file import read_judge_file
from acceptor.runs.predictions import read_predictions
from acceptor.runs.record import FORMAT, read_record
from acceptor.runs.report_file import read_report_file
from acceptor.runs.run_file import read_run_file
from acceptor.runs.search_file import SearchFile
from acceptor.runs.set_file import FoldsFile, SeedsFile, read_set_file
from acceptor.training.resume import data_and_config
from conftest import raises

OLD = Path(__file__).parent / "data" / "a684b4a"
STATE = "stopped/checkpoints/epoch-1-step-6/state.json"
READERS = {
    "run/judge.json": lambda path: read_judge_file(path.parent),
    "run/run.json": lambda path: read_run_file(path.parent),
    "run/report.json": lambda path: read_report_file(path.parent),
    "run/manifest.json": lambda path: read_manifest(path.parent),
    "seeds/seeds.json": lambda path: read_set_file(path.parent, SeedsFile),
    "cv/cv.json": lambda path: read_set_file(path.parent, FoldsFile),
    "search/search.json": lambda path: read_record(path, SearchFile),
    STATE: lambda path: read_state(path.parent),
}


@pytest.fixture
def place(tmp_path):
    return shutil.copytree(OLD, tmp_path / "toy")


def change(path, change):
    """Changes a file of JSON, and its hash in the manifest beside it."""
    content = json.loads(path.read_text("utf-8"))
    change(content)
    rewrite(path, json.dumps(content).encode())


def rewrite(path, content):
    path.write_bytes(content)
    manifest = path.with_name("manifest.json")
    if manifest.is_file() and path != manifest:
        names = json.loads(manifest.read_text())
        names["files"][path.name] = hashlib.sha256(content).hexdigest()
        manifest.write_text(json.dumps(names))


def put(content, keys, value):
    *above, last = keys
    for key in above:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize("name", READERS)
def test_complete_files_are_read(name):
    READERS[name](OLD / name)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_named(name, place):
    (place / name).unlink()
    with raises(RunError, "E-RUN-FILE", where=name, found="No such file"):
        READERS[name](place / name)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[" * 100_000],
    ids=["empty", "cut", "list", "bytes", "twice", "nan", "deep"],
)
@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_not_a_json_object_is_refused(name, content, place):
    (place / name).write_bytes(content)
    with raises(RunError, "E-RUN-FILE", where=name):
        READERS[name](place / name)


@pytest.mark.parametrize("name", READERS)
def test_the_error_of_a_newer_format_names_the_needed_version(name, place):
    def newer(content):
        content.update(format=FORMAT + 1, versions={"acceptor": "7.1.0"}, labels=7)  # nothing else is checked

    change(place / name, newer)
    fields = {"where": name, "expected": f"format {FORMAT}", "found": (f"format {FORMAT + 1}", "7.1.0")}
    with raises(RunError, "E-RUN-FORMAT", next="update Acceptor to 7.1.0", **fields):
        READERS[name](place / name)


def test_the_version_of_a_newer_judge_is_looked_up_in_its_run(place):
    change(place / "run" / "judge.json", lambda content: content.update(format=FORMAT + 1))
    with raises(RunError, "E-RUN-FORMAT", found="written by Acceptor 0.1.0"):
        acceptor.load(place / "run")
    (place / "run" / "run.json").unlink()
    with raises(RunError, "E-RUN-FORMAT", next="the newest version"):
        acceptor.load(place / "run")


@pytest.mark.parametrize("bad", ["1", 0, None, 1.0, True, [1]])
@pytest.mark.parametrize("name", READERS)
def test_a_format_that_is_not_a_number_is_refused(name, bad, place):
    change(place / name, lambda content: content.update(format=bad))
    with raises(RunError, "E-RUN-FILE", where=name, found="format"):
        READERS[name](place / name)


FIELDS = [
    ("run/judge.json", ("labels",), "ab"),
    ("run/judge.json", ("labels",), ["a", "a"]),
    ("run/judge.json", ("labels",), ["a"]),
    ("run/judge.json", ("labels",), ["a", 1]),
    ("run/judge.json", ("max_length",), 0),
    ("run/judge.json", ("max_length",), "32"),
    ("run/judge.json", ("max_length",), True),
    ("run/judge.json", ("encoder",), "bert"),
    ("run/judge.json", ("encoder", "name"), 3),
    ("run/judge.json", ("temperature",), 0.0),
    ("run/judge.json", ("temperature",), "1"),
    ("run/judge.json", ("threshold",), 1.5),
    ("run/judge.json", ("selected_on",), 5),
    ("run/judge.json", ("inputs",), "both"),
    ("run/judge.json", ("written",), ["0"]),
    ("run/run.json", ("config",), []),
    ("run/run.json", ("config", "metric"), "f7"),
    ("run/run.json", ("data", "train", "rows"), "48"),
    ("run/run.json", ("derived", 0, "reason"), None),
    ("run/run.json", ("seconds", "train"), "1 s"),
    ("run/run.json", ("versions",), ["torch"]),
    ("run/run.json", ("restarted_after",), {"event": "restart"}),
    ("run/report.json", ("test",), []),
    ("run/report.json", ("test", "labels"), "ab"),
    ("run/report.json", ("test", "n"), "15"),
    ("run/report.json", ("test", "mcc"), "1"),
    ("run/report.json", ("test", "mcc_interval"), [0.0]),
    ("run/report.json", ("validation", "confusion"), "many"),
    ("run/report.json", ("validation", "confusion"), [[1]]),
    ("run/report.json", ("validation", "measures", "ece", "value"), "low"),
    ("run/report.json", ("validation", "selected_on_this_split"), "yes"),
    ("run/report.json", ("validation", "slices", "source", 0, "n"), 1.5),
    ("run/manifest.json", ("files",), ["judge.json"]),
    ("run/manifest.json", ("files", "judge.json"), 3),
    ("seeds/seeds.json", ("runs",), 3),
    ("seeds/seeds.json", ("runs", 0, "status"), "ended"),
    ("seeds/seeds.json", ("runs", 0, "seed"), -1),
    ("seeds/seeds.json", ("runs", 0, "folder"), ".."),
    ("seeds/seeds.json", ("runs", 0, "folder"), "/etc"),
    ("seeds/seeds.json", ("runs", 0, "scores", "test", "mcc"), []),
    ("seeds/seeds.json", ("config",), None),
    ("seeds/seeds.json", ("vary",), "head"),
    ("seeds/seeds.json", ("summary", "test", "mcc", "mean"), "1"),
    ("cv/cv.json", ("by",), None),
    ("cv/cv.json", ("runs", 1, "fold"), 2),
    ("cv/cv.json", ("runs", 1, "balance"), [1, 2]),
    ("cv/cv.json", ("pooled", "n"), None),
    ("search/search.json", ("metric",), "loss"),
    ("search/search.json", ("trials", 0, "state"), "lost"),
    ("search/search.json", ("trials", 0, "epochs"), [0.5, "x"]),
    ("search/search.json", ("best", "folder"), None),
    ("search/search.json", ("space",), {"epochs": 3}),
    (STATE, ("progress", "step"), "6"),
    (STATE, ("progress", "epoch"), 2),
    (STATE, ("micro_batch",), 0),
    (STATE, ("decay",), None),
    (STATE, ("settings", "labels"), None),
    (STATE, ("settings", "source", "columns"), "label"),
    (STATE, ("settings", "data", "train", "balance"), {"a": -1}),
    (STATE, ("history", 0, "loss"), "0.7"),
    (STATE, ("history", 0, "event"), "pause"),
    (STATE, ("history", 0, "step"), 2),
]


@pytest.mark.parametrize(("name", "keys", "value"), FIELDS)
def test_a_field_of_the_wrong_type_is_named(name, keys, value, place):
    change(place / name, lambda content: put(content, keys, value))
    named = next(key for key in keys if isinstance(key, str))
    with raises(RunError, "E-RUN-FILE", where=name, found=named):
        READERS[name](place / name)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_field_is_named(name, place):
    for field in json.loads((OLD / name).read_text("utf-8")):
        optional = {"temperature", "threshold", "selected_on", "skipped_steps", "collapsed", "restarted_after", "test"}
        if field in optional | {"validation"}:
            continue
        change(place / name, lambda content, field=field: content.pop(field))
        with raises(RunError, "E-RUN-FILE", where=name, found=f"{field}: "):
            READERS[name](place / name)
        (place / name).write_bytes((OLD / name).read_bytes())


def test_a_line_of_the_history_is_named(place):
    path = place / "run" / "history.jsonl"
    lines = path.read_text().splitlines()
    for bad in (
        "{",
        "[]",
        '{"event": "pause"}',
        '{"event": "step"}',
        lines[1].replace('"loss": ', '"loss": "", "l": '),
    ):
        path.write_text("\n".join([lines[0], bad, *lines[2:]]))
        with raises(RunError, "E-RUN-FILE", where="history.jsonl", found="line 2"):
            read_history(place / "run")
    path.unlink()
    with raises(RunError, "E-RUN-FILE", where="history.jsonl", found="No such file"):
        read_history(place / "run")


def test_a_column_of_the_predictions_is_named(place):
    path = place / "run" / "predictions.parquet"
    whole = pl.read_parquet(path)
    for bad in (whole.drop("gold"), whole.with_columns(verdict=1), whole.with_columns(line=pl.lit("a"))):
        bad.write_parquet(path)
        name = "gold" if "gold" not in bad.columns else "verdict" if bad["verdict"].dtype != pl.String else "line"
        with raises(RunError, "E-RUN-FILE", where="predictions.parquet", found=name):
            read_predictions(place / "run")
    path.write_bytes(b"PAR1")
    with raises(RunError, "E-RUN-FILE", where="predictions.parquet"):
        read_predictions(place / "run")
    path.unlink()
    with raises(RunError, "E-RUN-FILE", where="predictions.parquet"):
        read_predictions(place / "run")


# ---------------------------------------------------------------------- through the public interface

DAMAGE = {
    "missing": lambda path: path.unlink(),
    "cut": lambda path: rewrite(path, b"{"),
    "of other types": lambda path: change(path, lambda content: content.update(dict.fromkeys(content, "?"))),
    "newer": lambda path: change(path, lambda content: content.update(format=FORMAT + 1)),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["judge.json", "run.json", "report.json", "predictions.parquet", "history.jsonl"])
def test_no_damage_of_a_run_is_a_traceback(name, damage, place, tmp_path):
    if name.endswith(".json") or damage in ("missing", "cut"):
        DAMAGE[damage](place / "run" / name)
    else:
        rewrite(place / "run" / name, b"?")
    refusals = []
    for call in (
        lambda: acceptor.load(place / "run"),
        lambda: acceptor.compare(place / "run", place / "seeds" / "seed-7", split="test"),
        lambda: write_report([place / "run"], tmp_path / "r.html", figures=False),
    ):
        try:
            call()
        except RunError as error:
            refusals.append(error)
    assert refusals
    for error in refusals:
        assert name in str(error)


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damage_of_a_set_is_a_traceback(damage, place, tmp_path):
    DAMAGE[damage](place / "seeds" / "seeds.json")
    for call in (
        lambda: read_set_file(place / "seeds", SeedsFile),
        lambda: write_report([place / "seeds"], tmp_path / "r.html", figures=False),
    ):
        with pytest.raises(RunError):
            call()


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damage_of_a_checkpoint_is_a_traceback(damage, place):
    DAMAGE[damage](place / STATE)
    code = "E-RUN-FORMAT" if damage == "newer" else "E-RUN-FILE"
    with raises(RunError, code, where=str(place / STATE)):
        newest(place / "stopped")
    with raises(RunError, code, where=str(place / STATE)):
        acceptor.resume(place / "stopped")


@pytest.mark.parametrize("folder", ["run", "stopped/checkpoints"])
def test_a_manifest_of_a_newer_format_is_refused(folder, place):
    for path in (place / folder).rglob("manifest.json"):
        change(path, lambda content: content.update(format=FORMAT + 1))
    with raises(RunError, "E-RUN-FORMAT", where="manifest.json", found=f"format {FORMAT + 1}"):
        acceptor.load(place / "run") if folder == "run" else newest(place / "stopped")


def test_a_search_of_a_newer_format_is_not_replaced(place, tiny_bert):
    change(place / "search" / "search.json", lambda content: content.update(format=FORMAT + 1))
    before = (place / "search" / "search.json").read_bytes()
    with raises(RunError, "E-RUN-FORMAT", where="search.json"):
        acceptor.search_settings(
            [("a b", "x"), ("c d", "y")] * 20, out=place / "search", encoder=str(tiny_bert), trials=1, seeds=0
        )
    assert (place / "search" / "search.json").read_bytes() == before


def test_unknown_fields_are_ignored(place, monkeypatch):
    def more(content):
        content["more"] = content["progress_of"] = content["settings"]["source"]["more"] = [1]

    change(place / STATE, more)
    monkeypatch.chdir(place)
    data, config = data_and_config(Path("stopped"), {"epochs": 5})
    assert (len(data.train), config.epochs) == (48, 5)


def test_only_one_package_names_the_files_of_runs():
    """Other modules read or write these files through it. Messages, and other programs' files, may have such a name."""
    source = Path(acceptor.__file__).parent
    files = {"judge.json", "run.json", "report.json", "history.jsonl", "predictions.parquet", "seeds.json", "cv.json"}
    files |= {"search.json", "study.db", "state.json", "train_hashes.safetensors", "manifest.json"}
    naming = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and node.value in files:
                naming.add(path.relative_to(source).as_posix())
    elsewhere = {name for name in naming if not name.startswith("runs/")}
    assert elsewhere == {"storage/manifest.py", "data/corpus_folder.py"}  # any manifest; a data set of `datasets`
