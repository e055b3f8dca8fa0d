"""Every file of `examples/` does what its docstring says: run for real, on small data, with a tiny encoder."""

from __future__ import annotations

import ast
import dataclasses
import io
import json
import os
import runpy
import subprocess
import sys

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import acceptor
import tiny
from conftest import REPOSITORY, toy_rows

EXAMPLES = REPOSITORY / "examples"
GOOD, BAD = "the cats sleep.", "the cat them sleep."


@pytest.fixture
def example(monkeypatch, capsys):
    """Runs an example as a program in this process; gives its standard output and its standard error."""

    def run(name, *arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr()

    return run


def write_rows(path, rows, header="sentence\tlabel"):
    path.write_text("".join("\t".join(row) + "\n" for row in [[header], *rows]), "utf-8")
    return path


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_explained_and_tested(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= 60
    assert path.name in (EXAMPLES / "README.md").read_text("utf-8")
    assert f"python examples/{path.name}" in ast.get_docstring(ast.parse(text))
    assert f'"{path.name}"' in (REPOSITORY / "tests" / "test_examples.py").read_text("utf-8")


def test_the_filter_keeps_the_fluent_candidates_in_their_order(example, toy_run, tmp_path):
    candidates = f"{GOOD}\n\n{BAD}\nthe cats see.\n\N{CAT FACE}\n"
    out, err = example("fluency_filter.py", toy_run.folder, stdin=candidates)
    assert out == f"{GOOD}\nthe cats see.\n"
    assert "2 of 4 candidates" in err
    file = tmp_path / "candidates.txt"
    file.write_text(candidates, "utf-8")
    assert example("fluency_filter.py", toy_run.folder, file).out == out
    assert example("fluency_filter.py", toy_run.folder, file, "--at-least", "1.1").out == ""


def test_the_grader_explains_wrong_answers_and_counts_right_ones(example, toy_run, tmp_path):
    rows = [("Ann", GOOD), ("Ann", BAD), ("Bob", BAD)]
    out = example("exercise_grader.py", toy_run.folder, write_rows(tmp_path / "a.tsv", rows, "student\tsentence")).out
    assert [line.split()[1] for line in out.splitlines() if "margin" in line] == ["right", "wrong", "wrong"]
    assert out.count("them +") == 2  # the word that makes it wrong
    assert "Ann         1 of 2 right\nBob         0 of 1 right\n" in out


@pytest.mark.parametrize("name", ["exercise_grader.py", "fluency_filter.py"])
def test_a_judge_of_something_else_is_refused(name, example, toy_run, monkeypatch):
    other = dataclasses.replace(toy_run.judge, labels=("spam", "ham"))
    monkeypatch.setattr(acceptor, "load", lambda run: other)
    with pytest.raises(SystemExit, match="spam, ham"):
        example(name, "RUN", "unread.tsv")


def test_the_sweep_shows_every_row_with_its_interval_and_compares_them(example, tiny_bert, tmp_path):
    (tmp_path / "toy").mkdir()
    write_rows(tmp_path / "toy" / "train.tsv", toy_rows(120))
    write_rows(tmp_path / "toy" / "test.tsv", toy_rows(60, 1))
    settings = ("--encoders", tiny_bert, "--rates", "1e-2", "5e-3", "--seeds", "2")
    out = example("encoder_sweep.py", tmp_path / "toy", *settings, "--epochs", "8", "--out", tmp_path / "sweep").out
    rows = [line for line in out.splitlines() if " test " in line]
    assert ["0.01" in row for row in rows] == [True, False]
    assert all("[" in row or "│ 0.000 │ —" in row for row in rows)  # seeds with the same score have no interval
    assert "bert-0.005 − bert-0.01: mcc" in out
    # Without a validation or test split there is nothing to compare on, but there is a table.
    train = tmp_path / "toy" / "train.tsv"
    out = example("encoder_sweep.py", train, *settings, "--epochs", "1", "--out", tmp_path / "cut").out
    assert out.count(" validation ") == 2


def test_paraphrases_are_judged_as_pairs(example, tiny_bert, tmp_path):
    rows = [(sentence, "the girl sees.", label) for sentence, label in toy_rows(96)]
    file = write_rows(tmp_path / "pairs.tsv", rows, "sentence1\tsentence2\tlabel")
    settings = ("--encoder", tiny_bert, "--out", tmp_path / "run")
    out = example("paraphrase_pairs.py", file, *settings).out
    assert len([line for line in out.splitlines() if " | " in line and line.split()[0] in ("same", "different")]) == 2
    assert acceptor.load(tmp_path / "run").inputs == "pairs"


def test_the_route_judges_a_list_and_refuses_what_it_cannot_judge(toy_run):
    app = FastAPI()
    app.include_router(runpy.run_path(str(EXAMPLES / "fastapi_mount.py"))["router"](toy_run.judge))
    client = TestClient(app, raise_server_exceptions=False)
    answered = client.post("/judge", json={"sentences": [GOOD, BAD]})
    assert [verdict["label"] for verdict in answered.json()] == ["acceptable", "unacceptable"]
    refused = client.post("/judge", json={"sentences": [" "]})
    assert (refused.status_code, refused.json()["detail"]["error"]) == (422, "DataError")
    assert client.post("/judge", json={"sentences": []}).status_code == 422
    for body in (b'["\\ud800 the cats"]', b'["the cats", "a\\udfff"]', b"[NaN]", b'{"\\ud800": 1}', b'["\xff"]', b'["'):
        refused = client.post(
            "/judge", content=b'{"sentences": %s}' % body, headers={"content-type": "application/json"}
        )
        assert 400 <= refused.status_code < 500, body
        assert refused.json()["detail"]


def test_ray_judges_a_file_and_counts_its_verdicts(toy_run, tmp_path):
    """In another process: a cluster needs sockets, which are blocked in this one."""
    pytest.importorskip("ray", reason="Ray is not installed")
    file = write_rows(tmp_path / "in.tsv", [(GOOD,), (BAD,), (GOOD,)], "sentence")
    command = [EXAMPLES / "ray_cluster.py", toy_run.folder, file, tmp_path / "out.parquet", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert {tuple(line.split()) for line in done.stdout.splitlines()[1:]} == {
        ("2", "acceptable"),
        ("1", "unacceptable"),
    }


def test_another_language_trains_on_the_pairs_of_the_file(example, tmp_path, monkeypatch):
    name = "other_language.py"
    corpus = runpy.run_path(str(EXAMPLES / name))["corpus"]()
    assert [len(split) for split in corpus.splits] == [36, 12]
    assert all(split.balance()["acceptable"] * 2 == len(split) for split in corpus.splits)
    monkeypatch.setattr(tiny, "TEXTS", corpus.train.sentences)  # the vocabulary of the encoder made here
    encoder = tiny.make_encoder(tmp_path / "encoder")
    out = example(name, encoder, "--epochs", "1", "--out", tmp_path / "run").out
    assert out.count("acceptable") == 2
    assert "两本书" in out
    own = write_rows(tmp_path / "own.tsv", [(text, str(row % 2)) for row, text in enumerate(corpus.train.sentences)])
    example(name, encoder, "--epochs", "1", "--out", tmp_path / "own", "--data", own)
    assert json.loads((tmp_path / "own" / "run.json").read_text())["data"]["train"]["origin"] == str(own)


def test_wrong_labels_come_first(example, tiny_bert, tmp_path):
    rows = toy_rows(120)
    wrong = {10, 40, 70}
    turned = [(text, str(1 - int(label)) if row in wrong else label) for row, (text, label) in enumerate(rows)]
    settings = ("--encoder", tiny_bert, "--epochs", "15", "--folds", "2", "--out", tmp_path / "folds")
    out = example("label_errors.py", write_rows(tmp_path / "toy.tsv", turned), *settings).out
    listed = [line.split() for line in out.splitlines() if line.startswith("  ")]
    assert {int(words[0]) - 2 for words in listed[:3]} == wrong  # line 1 is the header
    probabilities = [float(words[1]) for words in listed]
    assert probabilities == sorted(probabilities)
    assert len(pl.read_parquet(tmp_path / "folds" / "predictions.parquet")) == len(rows)
