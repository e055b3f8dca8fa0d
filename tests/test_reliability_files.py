"""The quick forms of the promises about files: hostile models, broken corpora, results that can be opened."""

from __future__ import annotations

import subprocess
import sys

import pytest

from acceptor.cli.app import app
from acceptor.errors import EncoderError, UsageError
from acceptor.model.pretrained import find_encoder
from conftest import REPOSITORY, raises

sys.path.insert(0, str(REPOSITORY))

from reliability import hostile, outputs, readers
from reliability.folders import Place, code, config, good_encoder


def held(outcome, at_least):
    assert outcome.tried >= at_least, outcome.promise
    assert outcome.held == outcome.tried, "\n".join([outcome.promise, *outcome.failures])


def test_hostile_folders_run_no_code_and_open_no_other_file(tmp_path):
    held(hostile.hostile_folders(tmp_path), 190)


def test_hostile_weights_are_refused_in_time(tmp_path):
    held(hostile.hostile_weights(tmp_path, tries=300), 340)


def test_a_hostile_folder_fails_the_command_line(tmp_path):
    folder = good_encoder(tmp_path / "encoder")
    place = Place(folder, tmp_path, tmp_path / "canary")
    code("evil.py")(place)
    config(auto_map={"AutoConfig": "evil.Evil"})(place)
    done = subprocess.run(
        [sys.executable, "-m", "acceptor", "encoders", str(folder), "--json"], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert '"error": "EncoderError"' in done.stdout
    assert not (tmp_path / "canary").exists()


def test_the_message_of_a_refused_link_names_it(tmp_path):
    folder = good_encoder(tmp_path / "encoder")
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to("/etc/passwd")
    with raises(EncoderError, "E-ENCODER-UNSAFE", where="vocab.txt"):
        find_encoder(str(folder))


def test_bad_files_are_read_exactly_or_refused_with_their_line(tmp_path):
    held(readers.bad_files(tmp_path), 200)


def test_mutated_files_give_rows_or_one_of_our_errors(tmp_path):
    held(readers.fuzzed(tmp_path, cases=2000, seed=0), 2000)


def test_hostile_strings_are_inert_wherever_results_are_shown(tmp_path):
    held(outputs.inert_outputs(tmp_path), 120)


@pytest.mark.parametrize("out", [[], ["-o", "x.jsonl"]])
def test_a_spreadsheet_safe_file_is_a_csv(tmp_path, out):
    with raises(UsageError, "E-USAGE-CONFLICT", problem="--spreadsheet-safe", expected=".csv"):
        app(["predict", str(tmp_path), "in.txt", *out, "--spreadsheet-safe"], standalone_mode=False)
