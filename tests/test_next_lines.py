"""Commands shown as the next step can be copied unchanged, and fit the run."""

from __future__ import annotations

import dataclasses
import re
import shlex

import pytest

import acceptor
from acceptor.cli.render import run_text
from acceptor.cli.render.demo import demo_next
from acceptor.cli.render.runs import judging_command
from acceptor.errors import UsageError, nearest
from acceptor.text import shell
from conftest import toy_rows


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
