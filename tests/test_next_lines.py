"""Commands shown as the next step can be copied unchanged, and fit the run."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import subprocess
import sys

import pandas as pd
import polars as pl
import pytest
from datasets import Dataset

import acceptor
from acceptor.cli.options import columns_of
from acceptor.cli.render import run_text
from acceptor.cli.render.demo import demo_next
from acceptor.cli.render.runs import judging_command
from acceptor.errors import DataError, UsageError, nearest
from acceptor.text import shell
from conftest import raises, toy_rows


@pytest.mark.parametrize(
    "name", ["plain", "a b", "it's", "-x", "-it's", 'it\'s \\ "$HOME"', "$HOME", "a;b", "naïve", "*.tsv"]
)
def test_a_path_is_one_word_of_a_command(name):
    [word] = shlex.split(shell(name))
    assert word in (name, f"./{name}")
    assert not word.startswith("-")


def next_words(lines):
    [line] = [line for line in lines if isinstance(line, str) and line.startswith("next: ")]
    return shlex.split(line.removeprefix("next: "))


def test_the_next_command_of_a_run_quotes_its_folder(toy_run):
    run = dataclasses.replace(toy_run, folder=toy_run.folder.with_name("my run"))
    words = next_words(run_text(run))
    assert words[:3] == ["acceptor", "judge", str(run.folder)]
    assert len(words) == 4
    [line] = [line for line in demo_next(run.folder) if line.startswith("your sentence: ")]
    assert shlex.split(line)[2:5] == ["acceptor", "judge", str(run.folder)]


def test_a_judge_of_pairs_is_shown_a_command_for_pairs(tiny_bert, tmp_path):
    rows = [{"sentence": text, "second": "the boy", "label": label} for text, label in toy_rows(40)]
    config = acceptor.TrainConfig(encoder=str(tiny_bert), epochs=1, batch_size=8, on_collapse="go-on")
    run = acceptor.train(rows, out=tmp_path / "a pair", config=config)
    words = next_words(run_text(dataclasses.replace(run, advice=None)))  # else the advice is the next step
    assert words[:4] == ["acceptor", "predict", str(run.folder), "FILE"]
    data = tmp_path / "x y.tsv"
    data.write_text("sentence\tsecond\n")
    assert shlex.split(judging_command(run.folder, pairs=True, data=str(data)))[3] == str(data)


def test_errors_quote_paths_in_their_commands(tmp_path):
    from acceptor.data.writing.write import check_output

    with pytest.raises(UsageError) as caught:
        check_output(tmp_path / "out dir" / "x y.tsv", overwrite=False)
    assert shlex.split(caught.value.details["next"]) == ["mkdir", "-p", str(tmp_path / "out dir")]


def test_the_version_is_shown(run_cli):
    code, stdout, _ = run_cli("--version")
    assert (code, stdout) == (0, f"acceptor {acceptor.__version__}\n")
    assert re.search(r"--version", run_cli("--help")[1])


def test_only_a_name_that_looks_alike_is_meant():
    assert nearest("sorce", ["sentence", "source"]) == "source"
    assert nearest("batch", ["batch_size", "epochs"]) == "batch_size"
    assert nearest("train.csv", ["test.csv"]) is None
    assert nearest("category", ["corpus", "source"]) is None


IN_MEMORY = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "datasets": Dataset.from_dict,
    "list": lambda columns: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
}
TEXTS = [f"the cats see the mat {n}" for n in range(12)]
FAULTS = {
    "unknown names": (
        {"foo": TEXTS, "bar": ["a", "b"] * 6},
        {},
        {"sentence": "foo", "label": "bar"},
    ),
    "a typing error": ({"text": TEXTS, "mood": ["a", "b"] * 6}, {"label": "moood"}, {"label": "mood"}),
    "a role that is none": ({"text": TEXTS, "mood": ["a", "b"] * 6}, {"lable": "mood"}, {"label": "mood"}),
    "two labels": ({"text": TEXTS, "label": ["a", "b"] * 6, "gold": ["a", "b"] * 6}, {}, {"label": "label"}),
    "two texts": ({"premise": TEXTS, "context": TEXTS, "label": ["a", "b"] * 6}, {}, {"sentence": "premise"}),
    "no labels": ({"text": TEXTS, "mood": ["0", "1"] * 6}, {}, {"label": "mood"}),
    "two of a name": (
        {"text": TEXTS, "sentence": TEXTS, "label": ["a", "b"] * 6},
        {"sentence": "text"},
        {"sentence": "text", "other_sentence": "2"},
    ),
}


@pytest.mark.parametrize("kind", IN_MEMORY)
@pytest.mark.parametrize("fault", FAULTS)
def test_columns_of_objects_in_memory_are_advised_as_an_argument(fault, kind, tmp_path):
    columns, given, advised = FAULTS[fault]
    with pytest.raises(DataError) as caught:
        acceptor.load_data(IN_MEMORY[kind](columns), columns=given or None)
    found = re.findall(r"columns=(\{.*?\})", caught.value.details["next"])
    assert advised.items() <= json.loads(found[-1]).items()
    assert "--" not in caught.value.details["next"]
    if kind == "polars":
        IN_MEMORY[kind](columns).write_csv(tmp_path / "a.csv")
        with raises(DataError, caught.value.code) as caught:
            acceptor.load_data(str(tmp_path / "a.csv"), columns=given or None)
        assert json.loads(found[-1]) == columns_of(re.findall("--columns (.*)", caught.value.details["next"])[-1])


@pytest.mark.parametrize(
    ("labels", "given", "argument", "option"),
    [
        (["a", "b", ""], {}, "drop_unlabelled=True", "--drop-unlabelled"),
        (["a", "b", "?"], {}, 'labels=["A", "B", …]', "--labels A,B,…"),
        (["0", "1", "-1"], {}, 'labels=["-1", "0", "1"]', "--labels -1,0,1"),
        (["yes", "no", "maybe"], {}, 'labels=["no", "maybe", "yes"]', "--labels no,maybe,yes"),
        (["a", "A", "b"], {}, "normalise_labels=True", "--normalise-labels"),
        (["a", "A", "b"], {}, 'labels=["A", "a", "b"]', "--labels A,a,b"),
        (["a", "b", "c"], {"labels": ["a", "b"]}, "correct labels=[…], or the rows", "correct --labels"),
        (["a|b", "b", "a"], {}, 'columns={"label": "NAME"}', "--columns label=NAME"),
        (["0.5", "1.5", "3"], {}, 'labels=["A", "B", …]', "--labels A,B,…"),
        (["a", "a", "a"], {}, 'columns={"label": "NAME"}', "--columns label=NAME"),
    ],
)
def test_labels_of_objects_in_memory_are_advised_as_an_argument(labels, given, argument, option, tmp_path):
    frame = pl.DataFrame({"text": TEXTS, "label": labels * 4})
    frame.write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError) as caught:
        acceptor.load_data(frame, **given)
    assert argument in caught.value.details["next"]
    assert "--" not in caught.value.details["next"]
    with raises(DataError, caught.value.code, next=option):
        acceptor.load_data(str(tmp_path / "a.csv"), **given)


PLAIN = ["the cats sleep.", "the cat them see.", "the girl sees.", "a dog."] * 5
COMPLETED = {  # the columns of a frame, those that were given, and those that are advised
    "numbers from 0": (["a", "b"], {"sentence": 0, "label": 1}, {"sentence": "1", "label": "2"}),
    "a second that is not there": (
        ["a", "b", "c"],
        {"sentence": "b", "second": "q", "label": "c"},
        {"sentence": "b", "second": "NAME", "label": "c"},
    ),
    "a column without a name": (["", "b"], {}, {"sentence": "1", "label": "b"}),
    "a misspelt role": (["a", "b"], {"sentense": "a", "label": "b"}, {"sentence": "a", "label": "b"}),
}


@pytest.mark.parametrize("case", COMPLETED)
def test_advised_columns_are_the_callers_and_can_be_given(case):
    names, given, advised = COMPLETED[case]
    frame = pd.DataFrame(dict.fromkeys(names[:-1], PLAIN) | {names[-1]: [0, 1] * 10})
    with raises(DataError, "E-DATA-COLUMN", next=f"columns={json.dumps(advised)}"):
        acceptor.load_data(frame, columns=given)
    if "NAME" not in advised.values():
        assert acceptor.load_data(frame, columns=advised).train.sentences == PLAIN


def test_minimal_pairs_given_to_a_judge_are_advised_as_such(toy_onnx):
    with raises(DataError, "E-DATA-COLUMN", next="acceptor.pairs("):
        acceptor.load(toy_onnx)(pd.DataFrame({"good": PLAIN, "bad": PLAIN}))


def test_a_folder_that_is_gone_is_named_before_any_work(tmp_path):
    """As after a run that was written to it: torch would end the process by itself."""
    command = 'cd gone && rmdir ../gone && exec "$0" -m acceptor corpora'
    (tmp_path / "gone").mkdir()
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the current folder was removed or replaced" in done.stderr
    assert "next:     cd ." in done.stderr
