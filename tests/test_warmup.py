"""Training without labels: corruptions of raw text, `warm_up`, and `distil`."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

import acceptor
from acceptor.cli import app as cli
from acceptor.config import TrainConfig
from acceptor.data.corruptions import SHARES, Corruptor, words_of
from acceptor.data.raw_text import FEWEST, read_raw_text
from acceptor.data.starter import generate
from acceptor.data.writing.parts import Parts
from acceptor.errors import DataError, RunError, UsageError
from acceptor.experiments import warmup
from acceptor.experiments.distil import _sentences, distil
from acceptor.experiments.warmup import warm_up, warmup_data
from acceptor.judging.predict import predict
from conftest import COLA, raises, toy_rows, write_judge

ENGLISH = COLA.parent / "english"
needs_english = pytest.mark.skipif(not ENGLISH.is_dir(), reason="the English text is not beside the repository")


@pytest.fixture(scope="module")
def natural() -> list[str]:
    """Acceptable sentences of the starter corpus."""
    return [row[0] for row in generate()["train"] if row[1] == "acceptable"][:600]


@pytest.fixture
def text(natural, tmp_path):
    """A file of them."""
    (tmp_path / "text.txt").write_text("".join(f"{sentence}\n" for sentence in natural[:FEWEST]))
    return tmp_path / "text.txt"


@pytest.fixture
def config(tiny_bert) -> TrainConfig:
    return TrainConfig(encoder=str(tiny_bert), epochs=2, batch_size=16, learning_rate=1e-3, max_length=32, seed=7)


# ---------------------------------------------------------------------- corruptions


@pytest.mark.parametrize("sentence", ["The book's here.", ' "Oh," he said - twice! ', "我喜歡看書。", "a", "?!", ""])
def test_words_and_spaces_join_to_the_sentence(sentence):
    assert "".join(space + word for space, word in words_of(sentence)) == sentence.strip()


def test_a_corruption_is_another_sentence_with_one_edit_or_two(natural):
    corruptor, rng = Corruptor(natural), random.Random(1)
    for sentence in natural:
        found = corruptor.corrupt(sentence, rng)
        assert found is not None
        assert found.lower() != sentence.lower()
        assert (found[0], found[-1]) == (found[0].upper(), sentence[-1])
        before, after = ([word.lower() for _, word in words_of(text)] for text in (sentence, found))
        assert len(before) - 2 <= len(after) <= len(before) + 2
        assert len(set(after) - set(before)) <= 2


def test_every_kind_of_edit_occurs(natural, monkeypatch):
    corruptor, rng = Corruptor(natural), random.Random(1)
    sentence = natural[0]
    words = [word.lower() for _, word in words_of(sentence)]
    for kind in SHARES:
        monkeypatch.setattr("acceptor.data.corruptions.SHARES", {kind: 1.0})
        monkeypatch.setattr("acceptor.data.corruptions.TWO_EDITS", 0.0)
        for _ in range(20):
            found = [word.lower() for _, word in words_of(corruptor.corrupt(sentence, rng))]
            assert len(found) - len(words) == {"delete": -1, "insert": 1}.get(kind, 0)
            if kind in ("swap", "move"):
                assert sorted(found) == sorted(words)
            else:
                assert len(set(found) - set(words)) <= 1


def test_corruptions_depend_on_the_seed_alone(natural):
    found = [[Corruptor(natural).corrupt(one, random.Random(seed)) for one in natural[:50]] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_sentences_without_two_words_are_left_out(natural):
    corruptor = Corruptor(natural)
    assert [corruptor.corrupt(text, random.Random(1)) for text in ("", "Oh!", "?!")] == [None] * 3


def test_chinese_is_corrupted_by_character():
    sentences = [f"我{verb}{thing}。" for verb in "看買要有想" for thing in ("書", "花", "車", "水", "茶")]
    corruptor, rng = Corruptor(sentences), random.Random(1)
    found = [corruptor.corrupt(sentence, rng) for sentence in sentences]
    assert None not in found
    assert all(2 <= len(one) <= 6 and one[-1] == "。" and " " not in one for one in found)
    assert not any(one == two for one, two in zip(found, sentences, strict=True))


# ---------------------------------------------------------------------- raw text


def test_text_that_cannot_be_used_is_refused(toy, text, tmp_path):
    def file(name, lines):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
        return tmp_path / name

    with raises(UsageError, "E-USAGE-OPTION"):
        read_raw_text([], toy)
    with raises(DataError, "E-DATA-MISSING", where="absent.txt"):
        read_raw_text([tmp_path / "absent.txt"], toy)
    with raises(DataError, "E-DATA-SPLIT", where="few.txt", expected=str(FEWEST), found="3", next="--warmup-text"):
        read_raw_text([file("few.txt", ["One two.", "Two three.", "Four five."])], toy)
    with raises(DataError, "E-DATA-TEXT", expected="LATIN", found="CJK"):
        read_raw_text([file("zh.txt", [f"我有{chr(0x4E00 + number)}。" for number in range(FEWEST)])], toy)
    lines = text.read_text().splitlines()
    for split in (toy.validation, toy.test):
        held_out = split.sentences[3].upper()
        with raises(DataError, "E-DATA-SPLIT", problem=split.name, where="leak.txt", found="line 6"):
            read_raw_text([file("leak.txt", [*lines[:5], held_out, *lines[5:]])], toy)
    pairs = acceptor.load_data([("a b", "c d", "yes"), ("e f", "g h", "no")] * 9)
    with raises(UsageError, "E-USAGE-PAIRS", found="pairs"):
        read_raw_text([text], pairs)


def test_text_is_read_once_from_all_files(toy, text, natural):
    found = read_raw_text([text, text], toy)
    assert found.sentences == natural[:FEWEST]
    assert list(found.sha256) == [str(text)]


# ---------------------------------------------------------------------- warm_up


def test_a_sentence_and_its_corruption_are_in_the_same_split(toy, text):
    data = warmup_data(read_raw_text([text], toy), toy, seed=1)
    natural = set(text.read_text().splitlines())
    for split in data.splits:
        assert natural.issuperset(split.sentences[::2])
        assert split.gold.tolist() == [1, 0] * (len(split) // 2)
    assert len(data.validation) == 2 * round(0.02 * FEWEST)


def test_a_warm_up_that_was_restarted_after_a_collapse_is_used_as_it_is(toy, config, text, tmp_path):
    bad = config.model_copy(update={"learning_rate": 0.9, "epochs": 3, "on_collapse": "restart"})
    out = warm_up(text, data=toy, out=tmp_path / "warm", config=bad)
    before = (out / "run.json").read_bytes()
    assert json.loads(before)["restarted_after"]
    assert warm_up(text, data=toy, out=out, config=bad) == out
    assert (out / "run.json").read_bytes() == before


def test_no_corruption_is_a_sentence_that_is_held_out(toy, text, natural, monkeypatch):
    """One that is drawn by chance would be trained on, and is counted as a leak."""
    monkeypatch.setattr(warmup, "FEWEST", FEWEST - 1)
    first = warmup_data(read_raw_text([text], toy), toy, seed=1)
    corrupted = [one for split in first.splits for one in split.sentences[1::2]]
    known = acceptor.load_data(toy_rows(60), validation=toy_rows(20), test=[(corrupted[5].upper(), "1"), ("x y", "0")])
    again = warmup_data(read_raw_text([text], known), known, seed=1)
    assert {one for split in again.splits for one in split.sentences[1::2]} == set(corrupted) - {corrupted[5]}
    taught = _sentences(toy, [text], 1)["sentence"].to_list()
    drawn = next(one for one in taught if one not in natural and one not in toy.train.sentences)
    known = acceptor.load_data(toy_rows(160), validation=toy_rows(20), test=[(drawn.upper(), "1"), ("x y", "0")])
    assert _sentences(known, [text], 1)["sentence"].to_list() == [one for one in taught if one != drawn]


def test_fine_tuning_starts_from_the_warmed_up_encoder(toy, config, text, tmp_path):
    out = warm_up(text, data=toy, out=tmp_path / "warm", config=config)
    assert acceptor.load(out).labels == ("corrupted", "natural")
    before = (out / "run.json").read_bytes()
    assert warm_up(text, data=toy, out=out, config=config) == out  # it is finished: nothing is trained
    assert (out / "run.json").read_bytes() == before
    run = acceptor.train(toy, out=tmp_path / "run", config=config, encoder=str(out))
    assert run.judge.labels == toy.labels
    assert run.record["encoder"]["name"] == str(out)
    acceptor.train(toy, out=tmp_path / "plain", config=config)
    name = "bert.encoder.layer.0.attention.self.query.weight"
    warm, cold = (load_file(tmp_path / folder / "model.safetensors")[name] for folder in ("run", "plain"))
    assert not np.allclose(warm, cold, atol=1e-3)
    with raises(UsageError, "E-USAGE-CHANGED", problem="seed"):
        warm_up(text, data=toy, out=out, config=config.model_copy(update={"seed": 8}))


def stop_after(monkeypatch, module, epoch):
    """Makes the next training end after an epoch, with a checkpoint."""

    class Stop(Exception):  # noqa: N818 - no error
        pass

    train = acceptor.train

    def stopping(data, **more):
        def on_epoch(history):
            if history[-1]["epoch"] == epoch:
                raise Stop

        return train(data, **more, on_epoch=on_epoch)

    monkeypatch.setattr(module, stopping)
    return Stop


def test_a_stopped_warm_up_resumes_to_the_same_weights(toy, config, text, tmp_path, monkeypatch):
    whole = warm_up(text, data=toy, out=tmp_path / "whole", config=config)
    with monkeypatch.context() as patch, pytest.raises(stop_after(patch, "acceptor.experiments.warmup.train", 1)):
        warm_up(text, data=toy, out=tmp_path / "stopped", config=config)
    assert not (tmp_path / "stopped" / "run.json").exists()
    warm_up(text, data=toy, out=tmp_path / "stopped", config=config)
    assert (tmp_path / "stopped" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


# ---------------------------------------------------------------------- distil


@pytest.fixture(scope="module")
def teacher(toy, toy_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    acceptor.train(toy, out=folder, config=toy_config)
    return folder


def test_a_student_learns_the_probabilities_of_its_teachers(toy, toy_config, teacher, text, tmp_path):
    run = distil(toy, teachers=[teacher, teacher], text=text, out=tmp_path / "student", config=toy_config)
    (written,) = (tmp_path / "student-teacher").glob("corpus-*.parquet")
    corpus = pl.read_parquet(written)["sentence"].to_list()
    assert corpus[: len(set(toy.train.sentences))] == list(dict.fromkeys(toy.train.sentences))
    assert set(text.read_text().splitlines()) < set(corpus)
    assert run.record["data"]["train"]["rows"] == len(corpus) > 1.8 * (len(set(toy.train.sentences)) + FEWEST)
    assert run.record["data"]["validation"]["sha256"] == toy.validation.table.sha256
    judge = acceptor.load(teacher)
    asked, told = (
        [verdict.probabilities[1] for verdict in one(toy.test.sentences)] for one in (judge, acceptor.load(run.folder))
    )
    assert np.corrcoef(asked, told)[0, 1] > 0.9
    assert run.report.scores.mcc > 0.8


def test_what_the_teachers_said_is_computed_once(toy, toy_config, teacher, tmp_path, monkeypatch):
    first = distil(toy, teachers=teacher, out=tmp_path / "student", config=toy_config)
    monkeypatch.setattr("acceptor.experiments.distil.predict", None)
    again = distil(toy, teachers=teacher, out=tmp_path / "student", config=toy_config, overwrite=True)
    first, again = ((run.folder / "model.safetensors").read_bytes() for run in (first, again))
    assert first == again


def test_a_stopped_student_is_resumed_by_its_own_command(toy, toy_config, teacher, tmp_path, monkeypatch):
    """Not by `acceptor train RUN --resume`: the teacher's probabilities are in no file that it could read."""
    out = tmp_path / "student"
    with monkeypatch.context() as patch, pytest.raises(stop_after(patch, "acceptor.experiments.distil.train", 1)):
        distil(toy, teachers=teacher, out=out, config=toy_config)
    with raises(RunError, "E-RUN-MISSING", found="was stopped", next="repeat the command that started it"):
        acceptor.load(out)
    with raises(UsageError, "E-USAGE-CHANGED", next="repeat the first command with its data and settings"):
        distil(toy, teachers=teacher, out=out, config=toy_config.model_copy(update={"epochs": 9}))


def test_what_another_version_has_begun_is_computed_again(toy, toy_config, teacher, tmp_path, monkeypatch):
    """What a teacher says is kept for its speed alone: parts of another device or torch are no reason to stop."""
    begun = []

    def predicting(run, corpus, *, out, **options):
        if not begun:
            parts = out.with_name(f".{out.name}.parts")
            parts.mkdir()
            (parts / "plan.json").write_text('{"input": "the same", "versions": {"torch": "1.0"}}')
        begun.append(options.get("overwrite", False))
        return predict(run, corpus, out=out, **options)

    monkeypatch.setattr("acceptor.experiments.distil.predict", predicting)
    monkeypatch.setattr(Parts, "kept", True)  # as if a part of it were finished
    distil(toy, teachers=teacher, out=tmp_path / "student", config=toy_config)
    assert begun == [False, True]


def test_a_stopped_distillation_resumes_to_the_same_weights(toy, toy_config, teacher, tmp_path, monkeypatch):
    whole = distil(toy, teachers=teacher, out=tmp_path / "whole", config=toy_config)
    with monkeypatch.context() as patch, pytest.raises(stop_after(patch, "acceptor.experiments.distil.train", 2)):
        distil(toy, teachers=teacher, out=tmp_path / "stopped", config=toy_config)
    resumed = distil(toy, teachers=teacher, out=tmp_path / "stopped", config=toy_config)
    first, again = ((run.folder / "model.safetensors").read_bytes() for run in (whole, resumed))
    assert first == again


def test_teachers_that_cannot_teach_are_refused(toy, toy_config, teacher, tmp_path):
    def taught(data, *teachers):
        return distil(data, teachers=list(teachers), out=tmp_path / "student", config=toy_config)

    with raises(UsageError, "E-USAGE-OPTION"):
        taught(toy)
    three = acceptor.load_data([("a b", "x"), ("c d", "y"), ("e f", "z")] * 20)
    with raises(UsageError, "E-USAGE-LABELS", expected="x, y, z", found="acceptable"):
        taught(three, teacher)
    pairs = [(f"the cats {word}", "a b", str(number % 2)) for number, word in enumerate(["sleep", "see"] * 20)]
    with raises(UsageError, "E-USAGE-PAIRS", where=str(teacher)):
        taught(acceptor.load_data(pairs), teacher)
    swapped = acceptor.load_data(toy_rows(160, 9), validation=toy_rows(160)[:48])
    with raises(DataError, "E-DATA-SPLIT", problem="validation"):
        taught(swapped, teacher)
    assert not (tmp_path / "student").exists()


def test_a_teacher_of_pairs_that_has_seen_test_is_refused(toy_config, tmp_path):
    """Their first texts are in train, beside other seconds: only the whole pair would be known to the student."""
    rows = toy_rows(96)
    train = [(first, "the girl sees.", label) for first, label in rows]
    other = [(first, "the boy sees.", label) for first, label in rows]
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    teacher = acceptor.train(other, out=tmp_path / "teacher", config=config).folder
    for data, name in (
        (acceptor.load_data(train, validation=other), "validation"),
        (acceptor.load_data(train, test=other), "test"),
    ):
        with raises(DataError, "E-DATA-SPLIT", problem=name):
            distil(data, teachers=teacher, out=tmp_path / "student", config=config)


def test_another_teacher_never_meets_what_the_first_one_said(toy, toy_config, teacher, tmp_path):
    """Not even after a stop, or if only its temperature differs."""
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    about = json.loads((other / "judge.json").read_text())
    write_judge(other, about | {"temperature": 5.0})
    taught = [
        distil(toy, teachers=one, out=tmp_path / "student", config=toy_config, overwrite=True)
        for one in (teacher, other, teacher)
    ]
    digests = [run.record["data"]["train"]["sha256"] for run in taught]
    assert digests[0] == digests[2] != digests[1]
    assert len(list((tmp_path / "student-teacher").glob("teacher-*.parquet"))) == 2


def test_an_exported_judge_teaches_too(toy, toy_config, teacher, tmp_path):
    acceptor.export(acceptor.load(teacher), tmp_path / "judge.onnx")
    run = distil(toy, teachers=tmp_path / "judge.onnx", out=tmp_path / "student", config=toy_config)
    assert run.report.scores.mcc > 0.8


def test_texts_that_a_teacher_cannot_read_are_left_out(toy, toy_config, teacher, text, tmp_path, caplog):
    text.write_text(text.read_text() + "\U0001f642\U0001f642\n")
    run = distil(toy, teachers=teacher, text=text, out=tmp_path / "student", config=toy_config)
    (written,) = (tmp_path / "student-teacher").glob("corpus-*.parquet")
    assert run.record["data"]["train"]["rows"] == pl.read_parquet(written).height - 1
    assert "1 texts left out" in caplog.text


def test_nothing_that_is_read_is_replaced(toy, toy_config, teacher, text, tmp_path):
    """Neither teachers nor texts are in a folder that is written; a refused call changes nothing."""
    own = tmp_path / "own"
    shutil.copytree(teacher, own)
    shutil.copytree(teacher, own / "teacher")
    (own / "text.txt").write_text(text.read_text())
    for given in ({"teachers": own / "teacher"}, {"teachers": teacher, "text": own / "text.txt"}):
        with raises(UsageError, "E-USAGE-OUTPUT", where=str(own)):
            acceptor.distil(toy, **given, out=own, config=toy_config, overwrite=True)
    with raises(UsageError, "E-USAGE-OUTPUT", where=str(own)):
        warm_up(own / "text.txt", data=toy, out=own, config=toy_config, overwrite=True)
    assert (own / "text.txt").read_text() == text.read_text()
    beside = tmp_path / "student-teacher"
    shutil.copytree(teacher, beside)
    before = {path.name: path.stat().st_mtime_ns for path in beside.iterdir()}
    with raises(UsageError, "E-USAGE-OUTPUT", problem="student-teacher", found="config.json"):
        distil(toy, teachers=teacher, out=tmp_path / "student", config=toy_config)
    assert before == {path.name: path.stat().st_mtime_ns for path in beside.iterdir()}
    with raises(UsageError, "E-USAGE-OUTPUT"):
        distil(toy, teachers=teacher, out="/", config=toy_config)
    done = distil(toy, teachers=teacher, out=tmp_path / "done", config=toy_config)
    files = set((tmp_path / "done-teacher").iterdir())
    with raises(UsageError, "E-USAGE-OUTPUT", next="--overwrite"):
        distil(toy, teachers=teacher, text=text, out=done.folder, config=toy_config)
    assert set((tmp_path / "done-teacher").iterdir()) == files


def test_a_text_that_cannot_be_corrupted_is_refused(toy, tmp_path):
    (tmp_path / "words.txt").write_text("".join(f"word{number}\n" for number in range(FEWEST)))
    with raises(DataError, "E-DATA-SPLIT", found=f"0 of {FEWEST}"):
        warmup_data(read_raw_text(tmp_path / "words.txt", toy), toy, seed=1)


def test_words_keep_their_combining_marks():
    assert [word for _, word in words_of("मैं कल स्कूल गया।")] == ["मैं", "कल", "स्कूल", "गया", "।"]


# ---------------------------------------------------------------------- the command line


def test_the_commands_warm_up_and_distil(tiny_bert, text, tmp_path, monkeypatch, capsys):
    for name, rows in (("train", toy_rows(160)), ("dev", toy_rows(48, 1)), ("test", toy_rows(40, 2))):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{sentence}\t{label}\n" for sentence, label in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["acceptor", *map(str, words), "--batch-size", "16", "--max-length", "32"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code, capsys.readouterr().err
        return capsys.readouterr().out

    settings = ("--encoder", tiny_bert, "--epochs", "1", "--learning-rate", "1e-2", "--reinit-layers", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    said = command(
        "train", tmp_path, "--warmup-text", text, "--out", "~/run", *settings
    )  # as a shell leaves --out=~/run
    assert f"written to {tmp_path / 'run'}\n" in said or f"written to {tmp_path / 'run'};" in said
    assert acceptor.load("run-warmup").labels == ("corrupted", "natural")
    begun_anew = [
        json.loads(Path(run, "run.json").read_text())["config"]["reinit_layers"] for run in ("run-warmup", "run")
    ]
    assert begun_anew == [1, 0]  # not again after the warm-up
    assert "written to student" in command("distil", tmp_path, "--teacher", "run", "--out", "student", *settings)


@pytest.mark.real
@needs_english
def test_real_english_is_corrupted():
    """Nearly every sentence is changed, and few become another one."""
    sentences = (ENGLISH / "ewt.txt").read_text("utf-8").splitlines()
    corruptor, rng = Corruptor(sentences), random.Random(1)
    found = [corruptor.corrupt(sentence, rng) for sentence in sentences]
    assert sum(one is None for one in found) < 20
    assert len(set(sentences).intersection(filter(None, found))) < 0.002 * len(sentences)
