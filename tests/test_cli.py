"""The command line as users run it: real processes for exit codes, in-process calls for their output."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import polars as pl
import pytest

from acceptor.config import TrainConfig
from acceptor.data.reading.read import read_table
from acceptor.errors import EncoderError
from acceptor.judging.decision import Decision
from conftest import COLA, needs_cola, options_of, toy_rows

SETTINGS = [
    "--epochs",
    "4",
    "--dropout",
    "0.1",
    "--batch-size",
    "16",
    "--learning-rate",
    "0.02",
    "--max-length",
    "32",
    "--seed",
    "7",
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The toy corpus as a folder of files."""
    folder = tmp_path_factory.mktemp("toy-files")
    for name, rows in (("train", toy_rows(160)), ("dev", toy_rows(48, 1)), ("test", toy_rows(40, 2))):
        text = "".join(f"{label}\t{sentence}\n" for sentence, label in rows)
        (folder / f"{name}.tsv").write_text("label\tsentence\n" + text)
    return folder


# ---------------------------------------------------------------------- train


def test_train_prints_what_it_derived_and_its_report(run_cli, files, tiny_bert, tmp_path):
    out = tmp_path / "run"
    code, stdout, stderr = run_cli("train", files, "--encoder", tiny_bert, "--out", out, *SETTINGS)
    assert code == 0
    for words in ("no cuda and no mps here", "no input was cut", "the corpus' own", "epoch 4/4"):
        assert words in stderr, words
    for words in ("validation MCC", "test MCC", "majority", f"written to {out}", "acceptor judge"):
        assert words in stdout, words
    assert (out / "manifest.json").is_file()
    code, stdout, _ = run_cli("train", files, "--encoder", tiny_bert, "--out", tmp_path / "2", "--json", *SETTINGS)
    assert json.loads(stdout)["reports"]["test"]["n"] == 40


def test_train_chooses_a_free_folder(run_cli, files, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", files / "train.tsv", "--encoder", tiny_bert, "--epochs", "1"]
    for folder in ("runs/train-bert", "runs/train-bert-2"):
        code, stdout, _ = run_cli(*arguments)
        assert (code, f"written to {folder}" in stdout) == (0, True)


def test_the_notebook_preset_has_the_chapters_settings_and_split(run_cli, files, tiny_bert, tmp_path):
    code, stdout, _ = run_cli(
        "train", files, "--encoder", tiny_bert, "--out", tmp_path / "run", "--preset", "notebook", "--json"
    )
    record = json.loads(stdout)
    assert code == 0
    assert (record["data"]["train"]["rows"], record["data"]["validation"]["rows"]) == (144, 16)
    assert record["config"]["weight_decay"] == 0.1
    assert record["config"]["order"] == "random"


def test_every_setting_is_an_option_with_its_default_in_the_help(run_cli):
    assert run_cli("train", "--help")[0] == 0
    options = options_of("train")
    for name, field in TrainConfig.model_fields.items():
        option = options[f"--{name.replace('_', '-')}"]
        if field.default is not None:
            default = "no" if field.default is False else field.default
            assert option.help.endswith(f"[{default}]"), f"{name}: {default}"


def test_the_help_of_several_trainings_has_their_default_for_a_collapse():
    """As `with_restart` and `search_settings` set it."""
    assert options_of("seeds")["--on-collapse"].help.endswith("[restart]")
    assert options_of("search")["--on-collapse"].help.endswith("[restart for the seeds at the end; a trial stops]")
    assert options_of("distil")["--on-collapse"].help.endswith("[stop]")


BAD_INPUT = {
    "missing file": (["train", "nowhere.tsv"], 1, "nowhere.tsv"),
    "empty file": (["train", "empty.tsv"], 1, "empty"),
    "binary file": (["train", "binary.tsv"], 1, "NUL|binary"),
    "one class only": (["train", "one.tsv"], 1, "only one label occurs"),
    "too few rows to cut": (["train", "few.tsv"], 1, "too few examples to cut"),
    "1-row split": (["train", "files/train.tsv", "--test", "row.tsv"], 1, "the test split has 1 example"),
    "unknown column": (["train", "files", "--columns", "sentence=txt,label=label"], 1, "no column 'txt'"),
    "columns that cannot be read": (["train", "files", "--columns", "txt"], 2, "sentence=text,label=3"),
    "unknown encoder": (["train", "files", "--encoder", "no/such"], 1, "(?s)HF_ENDPOINT.*PATH.*minilm"),
    "encoder without tokenizer": (["train", "files", "--encoder", "bare"], 1, "has no tokenizer"),
    "label typo": (["train", "typo.tsv"], 1, "(?s)unknown label 'acceptabel'; did you mean.*typo.tsv, line 4"),
    "invalid UTF-8": (["train", "latin1.tsv"], 1, "(?s)latin1.tsv.*byte"),
    "unclosed quote": (["train", "quote.csv"], 1, "(?s)quote.*line 3"),
    "unknown preset": (["train", "files", "--preset", "notebok"], 2, "no preset"),
    "value out of range": (["train", "files", "--epochs", "0"], 2, "epochs = 0: input should be greater"),
    "unknown choice": (["train", "files", "--order", "sorted"], 2, "(?s)order = 'sorted'.*bucketed"),
    "unknown option": (["train", "files", "--epoch", "3"], 2, "no such option: --epoch"),
    "value of another type": (["train", "files", "--epochs", "one"], 2, "epochs = 'one': input should be a valid int"),
    "value out of the option's range": (["predict", "RUN", "one.tsv", "--workers", "0"], 2, "workers = '0': input sh"),
    "option of train alone": (["seeds", "files", "--warmup-text", "x"], 2, "(?s)no such.*--encoder RUN-warmup"),
    "option without its value": (["audit", "files", "--labels"], 2, "option '--labels' requires an argument"),
    "no argument": (["audit"], 2, "missing argument 'DATA'"),
    "one argument too many": (["corpora", "a", "b", "c"], 2, "unexpected extra argument"),
    "unknown command": (["trian", "files"], 2, "no such command 'trian'"),
    "empty sentence": (["judge", "RUN", "the cats", ""], 1, "command line, argument 2"),
    "empty sentence to explain": (["judge", "RUN", " ", "--why", "occlusion"], 1, "command line, argument 1"),
    "unknown device": (["train", "files", "--device", "gpu"], 2, "(?s)device = 'gpu'.*cuda"),
    "a folder for what is no corpus": (["train", "files", "--data", "files"], 2, "train files"),
    "columns for a corpus": (
        ["audit", "starter", "--columns", "label=x"],
        2,
        "the corpus 'starter' has its own columns",
    ),
    "no such device": (["train", "files", "--device", "mps"], 2, "has no mps"),
    "folds and a split of one's own": (
        ["train", "files", "--cv", "2", "--validation", "files/test.tsv"],
        2,
        "leave --validation and --test out",
    ),
    "a change without --resume": (["train", "files", "--allow-change"], 2, "(?s)--allow-change is for --resume.*add"),
    "nothing to resume": (
        ["train", "files", "--resume", "--out", "nowhere"],
        1,
        "(?s)nothing to resume.*no such fol",
    ),
    "a role that is misspelled": (["train", "files/train.tsv", "--columns", "lable=1"], 1, "(?s)mean 'label'.*label=1"),
    "training on sentences alone": (["train", "sentences.txt"], 1, "judge them: acceptor predict RUN FILE"),
    "not a run": (["judge", "files", "a sentence"], 1, "files is not a finished run"),
    "a server in place of a run": (["predict", "http://127.0.0.1:1", "sentences.txt"], 2, "acceptor judge.*Client"),
    "another way to write a label": (["evaluate", "RUN", "capital.tsv"], 1, "next: .*--normalise-labels"),
    "evaluate without labels": (["evaluate", "RUN", "sentences.txt"], 1, "has no labels"),
    "unknown part": (["evaluate", "RUN", "files/test.tsv", "--by", "source"], 1, "no column 'source'"),
    "unknown output format": (["predict", "RUN", "sentences.txt", "-o", "x.xlsx"], 2, "cannot tell the format"),
    "output that exists": (["predict", "RUN", "sentences.txt", "-o", "one.tsv"], 2, "one.tsv exists"),
    "output in no folder": (["predict", "RUN", "sentences.txt", "-o", "nowhere/x.tsv"], 2, "mkdir -p nowhere"),
    "shard out of range": (["predict", "RUN", "sentences.txt", "-o", "x.tsv", "--shard", "4/3"], 2, "3/16"),
    "condition on no column": (["predict", "RUN", "sentences.txt", "-o", "x.tsv", "--where", "n > 1"], 2, "'n'"),
    "condition without an output": (["predict", "RUN", "sentences.txt", "--where", "margin > 1"], 2, "-o FILE"),
}


@pytest.fixture
def bad_place(tmp_path, files, tiny_bert, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(files, "files")
    shutil.copytree(tiny_bert, "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        os.remove(f"bare/{name}")
    contents = {
        "empty.tsv": b"",
        "binary.tsv": b"label\tsentence\n1\ta\0b\n",
        "one.tsv": b"label\tsentence\n" + b"1\ta b c\n" * 50,
        "few.tsv": b"label\tsentence\n" + b"1\ta b c\n0\tb a c\n" * 2,
        "row.tsv": b"label\tsentence\n1\ta b c\n",
        "typo.tsv": b"label\tsentence\nacceptable\ta b\nunacceptable\tc d\nacceptabel\te f\n",
        "latin1.tsv": b"label\tsentence\n1\tna\xefve\n",
        "quote.csv": b'label,sentence\n1,fine\n0,"not closed\n1,fine\n',
        "capital.tsv": b"label\tsentence\nGood\ta b\nBad\tc d\n",
        "sentences.txt": b"the cats sleep\nthe cat them\n",
    }
    for name, content in contents.items():
        with open(name, "wb") as stream:
            stream.write(content)
    return tmp_path


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_refused_with_a_next_step_and_leaves_no_files(case, run_cli, bad_place, toy_run, tiny_bert):
    arguments, code, words = BAD_INPUT[case]
    arguments = [str(toy_run.folder) if argument == "RUN" else argument for argument in arguments]
    if arguments[0] == "train" and "--encoder" not in arguments:
        arguments += ["--encoder", str(tiny_bert)]
    before = sorted(path.name for path in bad_place.iterdir())
    found, stdout, stderr = run_cli(*arguments)
    assert found == code, stderr
    assert re.search(words, stderr), stderr
    assert re.search(r"^  (next|where|expected): .*\n(  .*\n)*  code:     E-", stderr, re.MULTILINE), stderr
    assert stdout == ""
    assert sorted(path.name for path in bad_place.iterdir()) == before


def test_every_refused_option_looks_the_same(run_cli):
    """Typer refuses the first two, `TrainConfig` the third, the command the last."""
    for option, value in (("--epochs", "one"), ("--processes", "x"), ("--epochs", "0"), ("--preset", "nope")):
        code, _, stderr = run_cli("train", "starter", option, value)
        lines = stderr.splitlines()
        assert (code, lines[0].startswith("acceptor: "), value in lines[0]) == (2, True, True)
        assert lines[-2:] == ["  next:     acceptor train --help", "  code:     E-USAGE-OPTION"]
    assert json.loads(run_cli("train", "starter", "--epochs", "one", "--json")[1])["code"] == "E-USAGE-OPTION"


def test_the_log_of_a_training_has_no_internal_words(run_cli, files, tiny_bert, tmp_path):
    out = tmp_path / "run"
    code, _, stderr = run_cli("train", files, "--encoder", tiny_bert, "--out", out, "--epochs", "1")
    assert code == 0
    assert "data           train 160 · validation 48 · test 40" in stderr
    for word in ("shapes", "ragged", "FastLayer", "launch", "Data(", "padding", "compile"):
        assert word not in stderr, word
    derived = {one["name"] for one in json.loads((out / "run.json").read_text())["derived"]}
    assert derived >= {"shapes", "padding", "compile"}


def test_advice_is_given_once_as_the_last_line(run_cli, files, tiny_bert, tmp_path):
    chance = ["--epochs", "1", "--learning-rate", "1e-6", "--on-collapse", "go-on", "--encoder", tiny_bert]
    code, stdout, stderr = run_cli("train", files, *chance, "--out", tmp_path / "run")
    assert code == 0
    assert (stdout + stderr).count("no better than chance") == 1
    assert stdout.splitlines()[-1].startswith("no better than chance on validation")
    assert "next:" not in stdout
    code, stdout, _ = run_cli("train", files, *chance, "--out", tmp_path / "2", "--json")
    assert "--learning-rate" in json.loads(stdout)["advice"]


def test_an_output_that_exists_is_refused_unless_overwritten(run_cli, files, tiny_bert, tmp_path):
    out = tmp_path / "run"
    arguments = ["train", files, "--encoder", tiny_bert, "--epochs", "1", "--out", out]
    assert run_cli(*arguments)[0] == 0
    first = (out / "run.json").read_bytes()
    code, _, stderr = run_cli(*arguments)
    assert (code, "--overwrite" in stderr) == (2, True)
    assert (out / "run.json").read_bytes() == first
    assert run_cli(*arguments, "--overwrite")[0] == 0
    assert (out / "run.json").read_bytes() != first
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    code, _, stderr = run_cli(*arguments[:-1], tmp_path / "mine", "--overwrite")
    assert (code, "code:     E-USAGE-OUTPUT" in stderr, str(tmp_path / "mine") in stderr) == (2, True, True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_disk_with_too_little_space_is_refused_before_training(run_cli, files, tiny_bert, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    code, _, stderr = run_cli("train", files, "--encoder", tiny_bert, "--out", tmp_path / "run")
    assert (code, "code:     E-RESOURCE-DISK" in stderr, "epoch" in stderr) == (1, True, False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE stands for the full disk")
def test_a_disk_that_fills_up_while_writing_leaves_nothing(files, tiny_bert, tmp_path):
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from acceptor.cli.app import main\n"
        "main()\n"
    )
    arguments = ["train", str(files), "--encoder", str(tiny_bert), "--out", str(tmp_path / "new" / "run"), *SETTINGS]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "code:     E-RESOURCE-DISK" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_errors_are_json_with_json(run_cli, tmp_path):
    code, stdout, _ = run_cli("train", tmp_path / "no.tsv", "--json")
    assert (code, json.loads(stdout)["error"]) == (1, "DataError")


# ---------------------------------------------------------------------- evaluate, predict, judge, audit


def test_evaluate_prints_the_whole_set_first_then_its_parts(run_cli, toy_run, files, tmp_path):
    alone = ["evaluate", toy_run.folder, files / "test.tsv", "--figures", tmp_path / "fig"]
    assert run_cli(*alone)[0] == 2  # nothing would be drawn
    arguments = ["evaluate", toy_run.folder, files / "test.tsv", "--per-batch", "32", "--figures", tmp_path / "fig"]
    code, stdout, _ = run_cli(*arguments, "--by", "label", "--predictions", tmp_path / "all.csv.zst")
    assert code == 0
    assert stdout.startswith("test MCC")
    for words in ("gold unacceptable", "batch of 32", "not defined", "figure:", "verdicts:"):
        assert words in stdout, words
    assert (tmp_path / "fig" / "per_batch.svg").is_file()
    assert len(pl.read_csv(tmp_path / "all.csv.zst")) == 40
    code, stdout, _ = run_cli(*arguments, "--overwrite", "--json")
    found = json.loads(stdout)
    assert (found["n"], [part["n"] for part in found["per_batch"]]) == (40, [32, 8])


@pytest.mark.parametrize("options", [[], ["--all-scores"]])
def test_predict_shows_the_columns_that_it_writes(run_cli, toy_run, files, tmp_path, options):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{"id": str(row), "text": text, "verdict": "mine"} for row, (text, _) in enumerate(toy_rows(40, 2))]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run_cli("predict", toy_run.folder, source, "-o", out, *options)[0] == 0
    code, stdout, _ = run_cli("predict", toy_run.folder, source, "--json", *options)
    written = [json.loads(line) for line in out.read_text().splitlines()]
    shown = json.loads(stdout)["verdicts"]
    assert code == 0
    assert [list(row) for row in shown] == [list(row) for row in written]
    assert {"id", "text", "input.verdict", "verdict", "probability", "margin"} <= set(shown[0])
    assert ("p(acceptable)" in shown[0], "logit(acceptable)" in shown[0]) == (bool(options),) * 2
    for one, other in zip(shown, written, strict=True):
        assert (one["text"], one["input.verdict"], one["verdict"]) == (other["text"], "mine", other["verdict"])
        assert one["margin"] == pytest.approx(other["margin"], abs=1e-4)


def test_predict_looks_for_the_file_before_it_loads_the_judge(run_cli, toy_run, monkeypatch):
    monkeypatch.setattr("acceptor.judging.load.load", lambda *_, **__: pytest.fail("it has loaded the judge"))
    code, _, stderr = run_cli("predict", toy_run.folder, "no.tsv")
    assert (code, "E-DATA-MISSING" in stderr) == (1, True), stderr


WRONG = {
    "no such column": (["--by", "label", "--by", "sourec"], "E-DATA-COLUMN"),
    "no annotations": (["--annotations", "missing.tsv"], "E-DATA-MISSING"),
    "a taken name": (["--predictions", "out.jsonl"], "E-DATA-COLUMN"),
    "a break in a cell": (["--predictions", "out.tsv"], "E-DATA-TSV"),
    "a figure is there": (["--per-batch", "8", "--figures", "."], "E-USAGE-OUTPUT"),
}


@pytest.mark.parametrize(("options", "error"), WRONG.values(), ids=WRONG)
def test_evaluate_refuses_what_it_cannot_do_before_it_judges(run_cli, toy_run, tmp_path, monkeypatch, options, error):
    rows = [{"text": text, "label": label, "note": "a\tb"} for text, label in toy_rows(20)]
    if error == "E-DATA-COLUMN":
        rows = [row | {"verdict": "", "input.verdict": ""} for row in rows]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "per_batch.svg").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("acceptor.judging.judge.Judge.logits_of", lambda *_: pytest.fail("it has judged"))
    code, _, stderr = run_cli("evaluate", toy_run.folder, "in.jsonl", *options)
    assert (code, error in stderr) == (2 if "USAGE" in error else 1, True), stderr
    assert (tmp_path / "per_batch.svg").read_text() == "mine"


def test_predictions_are_written_before_slices_are_made(run_cli, toy_run, files, tmp_path, monkeypatch):
    monkeypatch.setattr("acceptor.evaluation.slices.slices", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_cli("evaluate", toy_run.folder, files / "test.tsv", "--by", "label", "--predictions", tmp_path / "out.tsv")
    assert len((tmp_path / "out.tsv").read_text().splitlines()) == 1 + 40


VAIN = {
    "evaluate": (["evaluate", "test.tsv", "--overwrite"], "--predictions FILE"),
    "pairs": (["pairs", "plain", "--overwrite"], "-o FILE"),
    "predict": (["predict", "test.tsv", "--overwrite"], "-o FILE"),
    "predict -o -": (["predict", "test.tsv", "-o", "-", "--overwrite"], "-o FILE"),
    "predict -o - --json": (["predict", "test.tsv", "-o", "-", "--json"], "leave --json out"),
}


@pytest.mark.parametrize(("words", "advice"), VAIN.values(), ids=VAIN)
def test_an_option_without_effect_is_refused(run_cli, toy_run, files, monkeypatch, words, advice):
    monkeypatch.chdir(files)
    command, *others = words
    code, _, stderr = run_cli(command, toy_run.folder, *others)
    assert (code, "E-USAGE-CONFLICT" in stderr, advice in stderr) == (2, True, True), stderr


@pytest.mark.parametrize("options", [[], ["--all-scores"]])
def test_old_scores_in_the_input_never_pass_for_new_ones(run_cli, toy_run, tmp_path, options):
    source, out = tmp_path / "in.tsv", tmp_path / "out.tsv"
    source.write_text("text\tp(acceptable)\tlogit(unacceptable)\tp(other)\nthe cats sleep .\t9\told\t7\n")
    code, stdout, stderr = run_cli("predict", toy_run.folder, source, *options)
    assert code == 0, stderr
    assert "the cats sleep ." in stdout
    assert run_cli("predict", toy_run.folder, source, "-o", out, *options)[0] == 0
    (shown,) = json.loads(run_cli("predict", toy_run.folder, source, "--json", *options)[1])["verdicts"]
    header, row = (line.split("\t") for line in out.read_text().splitlines())
    assert list(shown) == header
    assert header[1:4] == ["input.p(acceptable)", "input.logit(unacceptable)", "p(other)"]
    assert row[1:4] == ["9", "old", "7"]
    assert ("p(acceptable)" in header) == bool(options)


def test_predict_shows_texts_labels_and_verdicts(run_cli, toy_run, files):
    code, stdout, _ = run_cli("predict", toy_run.folder, files / "test.tsv")
    assert code == 0
    assert stdout.split("\n")[0].split() == ["label", "sentence", "verdict", "probability", "margin"]
    for sentence, _ in toy_rows(40, 2):
        assert sentence in stdout
    code, stdout, _ = run_cli("predict", toy_run.folder, files / "test.tsv", "--all-scores")
    assert stdout.split("\n")[0].split()[5:] == ["p,", "logit:", "2", "of", "2", "labels"]


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".parquet"])
def test_predict_writes_every_column_and_the_verdicts(run_cli, toy_run, files, tmp_path, suffix):
    out = tmp_path / f"verdicts{suffix}"
    code, stdout, _ = run_cli("predict", toy_run.folder, files / "test.tsv", "-o", out, "--all-scores")
    assert (code, f"verdicts: {out}" in stdout) == (0, True)
    assert "40 rows in = 40 out + 0 rejected" in stdout
    frame = read_table(out).frame
    assert frame["sentence"].to_list() == [sentence for sentence, _ in toy_rows(40, 2)]
    assert {"label", "verdict", "probability", "p(acceptable)", "logit(acceptable)"} <= set(frame.columns)
    assert run_cli("predict", toy_run.folder, files / "test.tsv", "-o", out)[0] == 2


def test_judge_takes_sentences_or_lines(run_cli, toy_run):
    code, stdout, _ = run_cli("judge", toy_run.folder, "the cats sleep.", "the cat them sleep.")
    assert code == 0
    assert stdout.count("acceptable") >= 2
    code, stdout, _ = run_cli("judge", toy_run.folder, "--json", "the cats sleep.")
    assert json.loads(stdout)["verdicts"][0]["verdict"] == "acceptable"
    code, stdout, _ = run_cli("judge", toy_run.folder, stdin="the cats sleep.\n\nthe cat them sleep.\n")
    assert [line.split()[0] for line in stdout.splitlines()] == ["acceptable", "unacceptable"]


@pytest.mark.parametrize("decision", [Decision(), Decision(2.0, 0.75)])
def test_the_lines_of_a_pipe_are_the_rows_of_arguments(run_cli, toy_run, tmp_path, decision):
    run = dataclasses.replace(toy_run.judge, decision=decision)
    run.save(tmp_path / "run")
    sentences = ["the cats sleep.", "the cat them sleep."]
    rows = [json.loads(run_cli("judge", tmp_path / "run", one, "--json")[1])["verdicts"][0] for one in sentences]
    assert {"sentence", "verdict", "probability", "margin", "p(acceptable)", "logit(acceptable)"} <= set(rows[0])
    code, stdout, _ = run_cli("judge", tmp_path / "run", "--json", stdin="".join(f"{one}\n" for one in sentences))
    assert (code, [json.loads(line) for line in stdout.splitlines()]) == (0, rows)


def test_a_line_whose_end_is_not_judged_is_named_beside_its_row(run_cli, toy_run):
    code, stdout, stderr = run_cli("judge", toy_run.folder, "--json", stdin=f"the cats.\n{'the cats ' * 50}\n")
    assert (code, len(stdout.splitlines())) == (0, 2)
    assert [line for line in stderr.splitlines() if "line 2" in line]
    assert "line 1" not in stderr


def test_control_characters_and_markup_are_shown_as_text(run_cli, toy_run):
    code, stdout, _ = run_cli("judge", toy_run.folder, "the \x1b[31mcats [bold]sleep[/bold] \x08\u202e")
    assert code == 0
    assert r"the \x1b[31mcats [bold]sleep[/bold] \x08\u202e" in stdout
    assert "\x1b" not in stdout


@needs_cola
def test_audit_of_cola_shows_the_chapters_numbers(run_cli, tiny_bert):
    code, stdout, _ = run_cli("audit", COLA / "raw", "--encoder", tiny_bert, "--max-length", "40")
    assert code == 0
    for words in (
        "(8551, 4)",
        "TSV without a header, as CoLA's: sentence ← column 4, label ← column 2",
        "unacceptable 2528 (29.6%) · acceptable 6023 (70.4%)",
        "[CLS]",
        "[SEP]",
        "inputs cut",
    ):
        assert words in stdout, words
    first, second = stdout.split("\n\n")[:2]
    assert first.split()[:4] == ["finding", "in", "count", "of"]
    for words in ("exact duplicates train 19 8551", "exact leaks test in train 12 516", "not found:"):
        assert words in " ".join(first.split()), words
    assert second.startswith("train: exact duplicates: 19")
    assert "in_domain_train.tsv, line 344" in second
    assert "and 9 more" in second
    code, stdout, _ = run_cli("audit", COLA / "raw", "--json")
    found = json.loads(stdout)
    assert found["train"]["rows"] == 8551
    assert {one["kind"] for one in found["findings"] if one["split"] == "train" and not one["count"]} == {
        "zero-width characters",
        "bidirectional controls",
        "replacement characters",
        "one-label sources",
    }


@pytest.mark.parametrize("command", ["train", "seeds", "search", "distil"])
@pytest.mark.parametrize("split", [None, "given", "notebook"])
def test_a_share_of_train_that_nothing_would_be_cut_by_is_refused(run_cli, command, split, tiny_bert, tmp_path):
    """The corpus has its own validation split, or the rule has its own share; the option would change nothing."""
    words = [command, "starter", "--encoder", tiny_bert, "--validation-share", "0.3", "--out", tmp_path / "run"]
    words += ["--teacher", tmp_path] if command == "distil" else []
    words += ["--split", split] if split else []
    code, _, stderr = run_cli(*words)
    assert code == 2
    assert "E-USAGE-CONFLICT" in stderr
    assert "--split stratified" in stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", ["in the column", "as a file"])
def test_a_share_of_train_is_refused_beside_a_column_of_splits_with_validation(run_cli, given, tiny_bert, tmp_path):
    """Only where neither the column nor a file has validation rows are they cut from train."""
    rows = [f"{text}\t{label}\t{'test' if row % 4 == 3 else 'train'}" for row, (text, label) in enumerate(toy_rows(40))]
    rows += ["the cats see.\t1\tvalidation"] * (given == "in the column")
    source, other = tmp_path / "in.tsv", tmp_path / "dev.tsv"
    source.write_text("\n".join(["sentence\tlabel\tsplit", *rows]), "utf-8")
    other.write_text("\n".join(["sentence\tlabel", *(f"{text}\t{label}" for text, label in toy_rows(20, 1))]), "utf-8")
    words = ["train", source, "--split", "column", "--validation-share", "0.3", "--out", tmp_path / "run"]
    words += ["--encoder", tiny_bert, *(["--validation", other] if given == "as a file" else [])]
    code, _, stderr = run_cli(*words)
    assert code == 2
    assert "E-USAGE-CONFLICT" in stderr
    assert ("column split" if given == "in the column" else "dev.tsv") in stderr
    assert "stratified" not in stderr  # which would train on the rows of test
    assert not (tmp_path / "run").exists()


def test_encoders_explains_a_configuration(run_cli, tiny_bert):
    code, stdout, _ = run_cli("encoders", tiny_bert)
    assert code == 0
    for words in ("hidden_size", "width of every token's vector", "pad_token_id", "[PAD] = 0", "total", "WordPiece"):
        assert words in stdout, words
    listed = run_cli("encoders")[1]
    assert "minilm" in listed
    assert "microsoft/deberta-v3-large" in listed
    assert json.loads(run_cli("encoders", tiny_bert, "--json")[1])["config"]["hidden_size"] == 16


def test_corpora_are_listed(run_cli):
    assert "starter" in run_cli("corpora")[1]


# ---------------------------------------------------------------------- real processes


def start(*arguments, before="", **options):
    """The command line in a new process; ``before`` is code that runs first."""
    interruptible = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # as at a terminal
    command = [sys.executable, "-c", f"{interruptible}{before}\nfrom acceptor.cli.app import main; main()"]
    return subprocess.Popen(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


STOPS_ITSELF = """
import os, torch
backward, steps = torch.Tensor.backward, 0

def stop(*arguments, **more):
    global steps
    backward(*arguments, **more)
    steps += 1
    if steps == {step}:
        for signum in {signals}:
            os.kill(os.getpid(), signum)

torch.Tensor.backward = stop
"""


def stopped(*arguments, step, signals, before=""):
    """A command that sends itself signals in the middle of a training step, counted from 1; code and stderr."""
    code = before + STOPS_ITSELF.format(step=step, signals=[int(one) for one in signals])
    with start(*arguments, before=code) as process:
        _, stderr = process.communicate(timeout=300)
    return process.returncode, stderr


LONG = ["--epochs", "20", *SETTINGS[2:]]


@pytest.fixture(scope="module")
def uninterrupted(files, tiny_bert, tmp_path_factory):
    """The weights of a training that was not stopped."""
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    with start("train", files, "--encoder", tiny_bert, "--out", out, *LONG) as process:
        _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return (out / "model.safetensors").read_bytes()


CTRL_C_IN_IMPORT = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name == {name!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
from acceptor.__main__ import main
main()
"""


@pytest.mark.parametrize("name", ["typer", "acceptor.progress"])
def test_ctrl_c_while_the_command_starts_shows_no_traceback(name):
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C_IN_IMPORT.format(name=name), "doctor"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("raised", "expected"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_signal_that_an_extension_module_turned_into_its_own_error_is_no_failure(
    run_cli, monkeypatch, raised, expected
):
    """pybind11 raises `ImportError: initialization failed` from it, and whoever imports may explain that as a fault."""

    def interrupted(*_, **__):
        try:
            try:
                raise raised
            except BaseException as error:
                raise ImportError("initialization failed") from error
        except ImportError as error:
            raise EncoderError("the weights cannot be loaded", code="E-ENCODER-FILE") from error

    monkeypatch.setattr("acceptor.data.load.load_data", interrupted)
    code, _, stderr = run_cli("train", "starter")
    assert code == expected
    assert "weights" not in stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_signal_that_comes_while_an_object_is_removed_is_not_lost():
    """Python discards what is raised then, so the command would go on."""
    code = """
import os, signal, time
from acceptor.cli import app
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
def command():
    Late()
    time.sleep(600)
app._run = command
app.main()
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 143


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_stopped_training_resumes_to_the_same_weights(files, tiny_bert, tmp_path, uninterrupted, run_cli):
    """After Ctrl-C; SIGTERM: below; SIGKILL: reliability/."""
    out = tmp_path / "run"
    arguments = ["train", files, "--encoder", tiny_bert, "--out", out, *LONG]
    assert stopped(*arguments, step=35, signals=[signal.SIGINT])[0] == 130
    assert not (out / "manifest.json").exists()
    assert "a training that was stopped" in run_cli(*arguments)[2]
    found, _, stderr = run_cli(*arguments, "--resume", "--epochs", "21")
    assert (found, "code:     E-USAGE-CHANGED" in stderr, "epochs" in stderr) == (2, True, True)
    found, _, stderr = run_cli(*arguments, "--resume")
    assert (found, "resuming after epoch" in stderr) == (0, True)
    assert (out / "model.safetensors").read_bytes() == uninterrupted
    assert not (out / "checkpoints").exists()
    steps = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if line["event"] == "step"] == list(range(1, 201))


def test_a_run_is_resumed_by_its_path_alone(files, tiny_bert, tmp_path, uninterrupted, run_cli, monkeypatch):
    """`acceptor train RUN --resume`, from another folder than the first: data, columns and settings are recorded."""
    monkeypatch.chdir(files.parent)
    out = tmp_path / "run"
    data, encoder = os.path.relpath(files), os.path.relpath(tiny_bert)
    arguments = ["train", data, "--encoder", encoder, "--out", out, *LONG, "--columns", "sentence=2,label=1"]
    assert stopped(*arguments, step=25, signals=[signal.SIGTERM])[0] == 143
    monkeypatch.chdir(tmp_path)
    code, _, stderr = run_cli("train", "--resume", "run", "--labels", "1,0")
    assert (code, "code:     E-USAGE-CONFLICT" in stderr, "--labels" in stderr) == (2, True, True)
    code, _, stderr = run_cli("train", "run", "--resume", "--learning-rate", "0.5")
    assert (code, "code:     E-USAGE-CHANGED" in stderr, "learning_rate" in stderr) == (2, True, True)
    code, _, stderr = run_cli("train", "--resume", "run")
    assert (code, "resuming after epoch" in stderr) == (0, True), stderr
    assert (out / "model.safetensors").read_bytes() == uninterrupted
    code, _, stderr = run_cli("train", "--resume", "run")
    assert (code, "code:     E-USAGE-OUTPUT" in stderr, "--overwrite" in stderr) == (2, True, True)
    code, _, stderr = run_cli("train", "--resume", "nowhere")
    assert (code, "code:     E-RUN-CHECKPOINT" in stderr, "nowhere" in stderr) == (1, True, True)


def test_the_same_command_resumes_in_the_folder_that_it_chose(files, tiny_bert, tmp_path, run_cli, monkeypatch):
    """Without --out, too: not in the next free folder."""
    monkeypatch.chdir(tmp_path)
    arguments = ["train", files, "--encoder", tiny_bert, *LONG]
    assert stopped(*arguments, step=25, signals=[signal.SIGTERM])[0] == 143
    code, _, stderr = run_cli(*arguments, "--resume")
    assert (code, "resuming after epoch" in stderr) == (0, True), stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [f"{files.name}-bert"]


def test_resume_refuses_finished_absent_or_damaged_trainings(files, tiny_bert, tmp_path, run_cli):
    out = tmp_path / "run"
    arguments = ["train", files, "--encoder", tiny_bert, "--out", out, *LONG]
    assert "nothing to resume" in run_cli(*arguments, "--resume")[2]
    assert "exclude each other" in run_cli(*arguments, "--resume", "--overwrite")[2]
    assert stopped(*arguments, step=25, signals=[signal.SIGKILL])[0] == -signal.SIGKILL
    for state in (out / "checkpoints").glob("epoch-*/state.safetensors"):
        content = bytearray(state.read_bytes())
        content[len(content) // 2] ^= 1
        state.write_bytes(content)
    code, _, stderr = run_cli(*arguments, "--resume")
    assert (code, "code:     E-RUN-FILE" in stderr, "state.safetensors" in stderr) == (1, True, True)
    assert run_cli(*arguments[:-1], "8", "--overwrite", "--epochs", "1")[0] == 0
    assert "is finished" in run_cli(*arguments, "--resume")[2]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_training_that_is_stopped_three_times_repeats_and_loses_no_step(
    files, tiny_bert, tmp_path, uninterrupted, run_cli
):
    """SIGTERM in the middle of epochs of ten steps, three times, the second time twice at once."""
    out = tmp_path / "run"
    arguments = ["train", files, "--encoder", tiny_bert, "--out", out, *LONG]
    reached = 0
    for kill, step in enumerate((13, 58, 75)):
        signals = [signal.SIGTERM] * (2 if kill == 1 else 1)
        code, stderr = stopped(*arguments, *(["--resume"] if kill else []), step=step, signals=signals)
        assert code == 143, stderr
        reached += step
        assert f"stopped at step {reached}; resume it: acceptor train " in stderr
    code, _, stderr = run_cli(*arguments, "--resume")
    assert (code, f", step {reached}" in stderr) == (0, True)
    assert (out / "model.safetensors").read_bytes() == uninterrupted
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == list(range(1, 201))
    for epoch in (line for line in lines if line["event"] == "epoch"):
        own = [line for line in lines if line["event"] == "step" and line["epoch"] == epoch["epoch"]]
        mean = sum(line["loss"] * line["examples"] for line in own) / sum(line["examples"] for line in own)
        assert epoch["train_loss"] == pytest.approx(mean)


def test_two_processes_train_as_one(files, tiny_bert, tmp_path, run_cli):
    """torchrun with two gloo processes: the same losses as one process with the same batch."""
    options = ["--epochs", "2", "--batch-size", "33", "--learning-rate", "1e-3", "--seed", "7"]
    arguments = ["train", str(files), "--encoder", str(still(tiny_bert, tmp_path)), *options]
    assert run_cli(*arguments, "--out", tmp_path / "one")[0] == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "acceptor"]
    done = subprocess.run([*launch, *arguments, "--out", str(tmp_path / "two")], capture_output=True, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("validation MCC") == 1
    one, two = (
        [line["loss"] for line in map(json.loads, (tmp_path / out / "history.jsonl").read_text().splitlines())
         if line["event"] == "step"]
        for out in ("one", "two")
    )  # fmt: skip
    assert len(one) == 10
    assert two == pytest.approx(one, abs=1e-4)


def still(encoder, folder):
    """A copy of the encoder without dropout, whose random numbers two processes cannot share."""
    copy = folder / "still"
    shutil.copytree(encoder, copy, dirs_exist_ok=True)
    config = json.loads((copy / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def test_stdout_is_only_json(files, tiny_bert, tmp_path):
    process = start("train", files, "--encoder", tiny_bert, "--epochs", "1", "--json", "--out", tmp_path / "run")
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["folder"] == str(tmp_path / "run")
    assert "Traceback" not in stderr


def test_a_command_does_not_look_for_garbage_in_what_it_imports():
    """Neither while it starts nor at its end: with torch, each took most of a second."""
    code = "import atexit, gc; atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 10_000))"
    code += "; from acceptor.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "100000 True"


def test_a_closed_pipe_gives_no_traceback(toy_onnx, files):
    """Closed before anything is printed, since a pipe would hold all of it; and all work is done by then."""
    with start("predict", toy_onnx, files / "train.tsv") as process:
        process.stdout.close()
        stderr = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in stderr
