"""Folders given as an encoder or as a run: old and new heads, other programs' models, the hub's cache."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import acceptor
from acceptor.data.auditing.duplicates import fingerprints
from acceptor.errors import AcceptorError, EncoderError, RunError, UsageError
from acceptor.judging.load import files_of
from acceptor.judging.predict import predict
from acceptor.model.classifier import new_classifier, quiet_transformers
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.runs.checkpoint import refuse_changes
from acceptor.runs.run_file import Setup
from conftest import raises, toy_rows
from tiny import ARCHITECTURES, make_encoder

LABELS = ("unacceptable", "acceptable")


# ---------------------------------------------------------------------- heads


def plain_initial(folder: Path, labels: int, seed: int) -> dict[str, torch.Tensor]:
    """The classifier that Transformers alone makes of an encoder, as Acceptor did before `keep_head`."""
    from transformers import AutoModelForSequenceClassification

    from acceptor.runtime.device import seed_everything

    seed_everything(seed)
    with quiet_transformers():
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=labels, dtype=torch.float32)
    return model.state_dict()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_encoder_without_a_head_gets_the_one_that_its_seed_always_gave(tmp_path, architecture):
    folder = make_encoder(tmp_path / "encoder", architecture)
    expected = plain_initial(folder, 2, seed=7)
    found = new_classifier(find_encoder(str(folder)), LABELS, seed=7).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_seeds_give_the_same_new_heads_as_in_older_versions(tmp_path):
    """Sums of the tiny BERT's classifier under seeds 7 and 8: the same seed must always give the same new head."""
    encoder = find_encoder(str(make_encoder(tmp_path / "bert", initializer_range=0.2)))
    sums = [float(new_classifier(encoder, LABELS, seed=seed).classifier.weight.detach().sum()) for seed in (7, 8)]
    assert sums == pytest.approx(SUMS, abs=1e-5)


SUMS = [-1.2378971576690674, 1.0829687118530273]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_old_head_is_dropped_unless_keep_head_is_given(tmp_path, architecture):
    plain = find_encoder(str(make_encoder(tmp_path / "plain", architecture)))
    taught = new_classifier(plain, LABELS, seed=1)
    taught.save_pretrained(tmp_path / "taught")
    load_tokenizer(plain.folder).save_pretrained(tmp_path / "taught")
    encoder = find_encoder(str(tmp_path / "taught"))
    old = taught.state_dict()
    first, second = (new_classifier(encoder, LABELS, seed=seed).state_dict() for seed in (2, 3))
    above = [name for name in old if name.split(".")[0] in ("classifier", "pre_classifier", "score")]
    moved = [name for name in above if name.endswith("weight") and not torch.equal(first[name], old[name])]
    assert moved
    assert all(not torch.equal(first[name], second[name]) for name in moved)
    base = taught.base_model_prefix + "."
    assert all(torch.equal(first[name], old[name]) for name in old if name.startswith(base))
    kept = new_classifier(encoder, LABELS, seed=2, keep_head=True).state_dict()
    assert all(torch.equal(kept[name], old[name]) for name in old)


def test_a_run_as_encoder_starts_with_a_new_head(toy_run, toy_config, tmp_path):
    """Trained on swapped labels, the old head would start at an MCC of -1."""
    rows = [(sentence, "spam" if label == "1" else "ham") for sentence, label in toy_rows(160)]
    settings = {"encoder": str(toy_run.folder), "epochs": 1, "learning_rate": 1e-6, "on_collapse": "go-on"}
    runs = [
        acceptor.train(rows, out=tmp_path / str(seed), config=toy_config.model_copy(update={**settings, "seed": seed}))
        for seed in (7, 8)
    ]
    heads = [load_file(run.folder / "model.safetensors")["classifier.weight"] for run in runs]
    assert not torch.allclose(*heads, atol=1e-3)
    assert runs[0].record["config"]["keep_head"] is False


def test_keeping_a_head_needs_its_labels_in_their_order(toy_run, toy_config, tiny_bert, tmp_path):
    settings = {"encoder": str(toy_run.folder), "keep_head": True, "epochs": 1, "on_collapse": "go-on"}
    config = toy_config.model_copy(update=settings)
    other = [(sentence, "spam" if label == "1" else "ham") for sentence, label in toy_rows(64)]
    with raises(UsageError, "E-USAGE-HEAD", expected="ham, spam", found="unacceptable, acceptable"):
        acceptor.train(other, out=tmp_path / "no", config=config)
    turned = acceptor.load_data(
        [(sentence, ("acceptable", "unacceptable")[label == "0"]) for sentence, label in toy_rows(64)],
        labels=["acceptable", "unacceptable"],
    )
    with raises(UsageError, "E-USAGE-HEAD", expected="acceptable, unacceptable", found="unacceptable, acceptable"):
        acceptor.train(turned, out=tmp_path / "no", config=config)
    with raises(UsageError, "E-USAGE-HEAD", next="--keep-head"):
        acceptor.train(toy_rows(64), out=tmp_path / "no", config=config.model_copy(update={"encoder": str(tiny_bert)}))
    run = acceptor.train(toy_rows(64), out=tmp_path / "run", config=config)
    assert run.report.mcc > 0.9  # the kept head is trained already


def test_keep_head_is_an_option(run_cli, toy_run, tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in toy_rows(64)))
    out, settings = tmp_path / "run", ("--epochs", "1", "--on-collapse", "go-on", "--learning-rate", "1e-6")
    code, stdout, err = run_cli(
        "train", path, "--encoder", toy_run.folder, "--keep-head", "--out", out, *settings, "--json"
    )
    assert code == 0, err
    assert json.loads(stdout)["reports"]["validation"]["mcc"] > 0.9


def test_rows_that_the_encoder_was_trained_on_count_as_leaked(toy_run, toy_config, toy, tmp_path, caplog):
    fresh = [(f"the girl and {sentence}", label) for sentence, label in toy_rows(64, 9)]
    config = toy_config.model_copy(update={"encoder": str(toy_run.folder), "epochs": 1, "on_collapse": "go-on"})
    with caplog.at_level(logging.INFO, "acceptor"):
        data = acceptor.load_data(fresh, test=toy_rows(160)[:40])
        run = acceptor.train(data, out=tmp_path / "run", config=config)
    before = np.unique(fingerprints(toy.train))
    assert np.isin(before, run.judge.trained_on).all()
    assert run.reports["test"].leaks == 40
    [derived] = [item for item in run.record["derived"] if item["name"] == "learnt before"]
    assert derived["value"] == len(before)
    assert any("learnt before" in message for message in caplog.messages)
    again = acceptor.load(run.folder)
    assert np.isin(before, again.trained_on).all()


def test_a_training_from_before_keep_head_resumes():
    now = Setup(config=acceptor.TrainConfig().model_dump(), encoder={"name": "x"}, data={}).deciding()
    config = acceptor.TrainConfig().model_dump(exclude={"keep_head", "on_nan"})  # any setting may be newer
    before = Setup(config=config, encoder={"name": "x"}, data={}).deciding()
    refuse_changes(before, now)
    with raises(UsageError, "E-USAGE-CHANGED", expected="keep_head = False", found="keep_head = True"):
        refuse_changes(before, {**now, "keep_head": True})


# ---------------------------------------------------------------------- classifiers of other programs


@pytest.fixture
def classifier(toy_run, tmp_path) -> Path:
    """The toy run as Transformers alone would have saved it."""
    folder = tmp_path / "classifier"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(toy_run.folder / name, folder)
    return folder


def change(path: Path, **fields) -> None:
    """Changes fields of a JSON file; None removes one."""
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def test_a_hugging_face_classifier_is_judged_by_its_own_labels(classifier, toy_run, caplog, tmp_path):
    with caplog.at_level(logging.WARNING, "acceptor"):
        judge = acceptor.load(classifier)
    assert any("Hugging Face classifier" in text and "threshold" in text for text in caplog.messages)
    assert (judge.labels, judge.max_length, judge.inputs, judge.trained_on) == (LABELS, 64, None, None)
    texts = [sentence for sentence, _ in toy_rows(9)]
    np.testing.assert_allclose(judge.logits(texts), toy_run.judge.logits(texts), atol=1e-5)
    source = tmp_path / "in.tsv"
    source.write_text("sentence\n" + "\n".join(texts))
    assert predict(classifier, [str(source)], out=tmp_path / "out.jsonl").written == 9
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= files_of(classifier).keys()


def test_its_labels_may_have_no_names(classifier):
    change(classifier / "config.json", id2label=None, label2id=None)
    assert acceptor.load(classifier).labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("fields", "found", "cause"),
    [
        ({"architectures": ["BertModel"], "id2label": None}, "BertModel", ""),
        ({"architectures": None}, "config.json", ""),
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM", ""),
        ({"architectures": ["BertForTokenClassification"]}, "BertForTokenClassification", ""),
        ({"problem_type": "multi_label_classification"}, "", "multi_label"),
        ({"problem_type": "regression"}, "", "regression"),
        ({"id2label": {"0": "score"}}, "", "one output"),
        ({"id2label": {"0": "a", "1": "a"}}, "", "twice"),
        ({"id2label": {"1": "a", "2": "b"}}, "", "id2label"),
        ({"id2label": ["a", "b"]}, "", "id2label"),
        ({"id2label": None, "num_labels": [2]}, "", "num_labels"),
        ({"id2label": None, "num_labels": "600"}, "", "num_labels"),  # as "99999999999" would fill all memory
        ({"id2label": None, "num_labels": 2.5}, "", "num_labels"),
        ({"id2label": None, "num_labels": True}, "", "num_labels"),
        ({"id2label": None, "num_labels": 0}, "", "num_labels"),
    ],
)
def test_a_model_that_cannot_judge_is_named(classifier, fields, found, cause):
    change(classifier / "config.json", **fields)
    with raises(RunError, "E-RUN-MODEL", found=found, cause=cause, next="acceptor train"):
        acceptor.load(classifier)


def test_a_run_without_judge_json_is_not_taken_for_a_classifier(toy_run, tmp_path):
    shutil.copytree(toy_run.folder, tmp_path / "run")
    (tmp_path / "run" / "judge.json").unlink()
    with raises(RunError, "E-RUN-MISSING", problem=str(tmp_path / "run"), expected="judge.json"):
        acceptor.load(tmp_path / "run")


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_a_wrappers_prefix_of_the_names_is_removed(classifier, tiny_bert, tmp_path, wrapper):
    expected = acceptor.load(classifier).logits(["the cats see."])
    for folder in (classifier, Path(shutil.copytree(tiny_bert, tmp_path / "encoder"))):
        weights = load_file(folder / "model.safetensors")
        save_file({f"{wrapper}{name}": weight for name, weight in weights.items()}, folder / "model.safetensors")
    np.testing.assert_allclose(acceptor.load(classifier).logits(["the cats see."]), expected, atol=1e-5)
    plain, wrapped = (new_classifier(find_encoder(str(one)), LABELS, 1) for one in (tiny_bert, tmp_path / "encoder"))
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), wrapped.parameters(), strict=True))


def make_adapter(folder: Path, tiny: Path) -> dict[str, str]:
    for path in tiny.glob("tokenizer*"):
        shutil.copy(path, folder)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/big"}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return {"found": "org/big", "next": "merge_and_unload().save_pretrained"}


def make_old_layout(folder: Path, tiny: Path) -> dict[str, str]:
    shutil.copytree(tiny, folder / "0_Transformer")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "modules.json").write_text(json.dumps([{"path": "0_Transformer"}, {"path": "1_Pooling"}]))
    return {"found": "sentence-transformers", "next": f"--encoder {folder / '0_Transformer'}"}


@pytest.mark.parametrize("make", [make_adapter, make_old_layout])
def test_other_layouts_are_named_as_run_and_as_encoder(tiny_bert, tmp_path, make):
    folder = tmp_path / "folder"
    folder.mkdir()
    fields = make(folder, tiny_bert)
    for ask in (lambda: acceptor.load(folder), lambda: find_encoder(str(folder))):
        with raises(AcceptorError, "E-ENCODER-FILE", **fields):
            ask()


def test_an_adapter_beside_the_whole_model_does_not_matter(tiny_bert, tmp_path):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "encoder"))
    (folder / "adapter_config.json").write_text("{}")
    assert find_encoder(str(folder)).config["model_type"] == "bert"


@pytest.mark.parametrize(
    ("file", "fields", "kind"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"}, "BertJapaneseTokenizer"),
        ("config.json", {"tokenizer_class": "BertJapaneseTokenizer"}, "BertJapaneseTokenizer"),
        ("tokenizer_config.json", {"word_tokenizer_type": "mecab"}, "mecab"),
        ("tokenizer_config.json", {"tokenizer_class": "BertweetTokenizer"}, "BertweetTokenizer"),
    ],
)
def test_a_tokenizer_that_has_no_fast_form_is_named(tiny_bert, tmp_path, file, fields, kind):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "encoder"))
    (folder / "vocab.txt").write_text("\n".join(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]))
    (folder / "tokenizer.json").unlink()
    change(folder / file, **fields)
    with raises(EncoderError, "E-ENCODER-TOKENIZER", found=kind, next="tokenizer.json"):
        load_tokenizer(folder)


# ---------------------------------------------------------------------- the hub's cache


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub."""
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


def snapshot(cache: Path, source: Path, names: list[str] | None = None, repo: str = "org/name") -> Path:
    """Puts files of a folder into the cache as the hub's client does: blobs, and links to them."""
    home = cache / f"models--{repo.replace('/', '--')}"
    folder = home / "snapshots" / ("a" * 40)
    for directory in (home / "blobs", home / "refs", folder):
        directory.mkdir(parents=True, exist_ok=True)
    (home / "refs" / "main").write_text("a" * 40)
    for path in sorted(source.iterdir()):
        if path.is_file() and (names is None or path.name in names):
            shutil.copy(path, home / "blobs" / f"blob-{path.name}")
            (folder / path.name).unlink(missing_ok=True)
            (folder / path.name).symlink_to(Path("../../blobs") / f"blob-{path.name}")
    return folder


def test_a_whole_snapshot_is_taken_from_the_cache(hub, tiny_bert):
    folder = snapshot(hub, tiny_bert)
    found = find_encoder("org/name")
    assert (found.folder, found.revision) == (folder, "a" * 40)


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_partial_snapshot_without_network_is_named(hub, tiny_bert, missing):
    snapshot(hub, tiny_bert, [path.name for path in tiny_bert.iterdir() if path.name != missing])
    words = "the tokenizer's files" if missing == "tokenizer.json" else missing
    with raises(EncoderError, "E-ENCODER-MISSING", problem=("'org/name'", words), cause="not reached"):
        find_encoder("org/name")


def test_missing_files_of_a_snapshot_are_downloaded(hub, tiny_bert, monkeypatch):
    folder = snapshot(hub, tiny_bert, ["config.json"])
    asked = []

    def download(name, *, allow_patterns, local_files_only=False):
        asked.append(local_files_only)
        if not local_files_only:
            snapshot(hub, tiny_bert)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert find_encoder("org/name").folder == folder
    assert asked == [True, False]


def test_a_run_in_the_hub_s_cache_loads(hub, toy_run):
    folder = snapshot(hub, toy_run.folder)
    texts = ["the cats see.", "the cat them."]
    np.testing.assert_allclose(
        acceptor.load(folder).logits(texts), acceptor.load(toy_run.folder).logits(texts), atol=1e-5
    )
    (hub / "models--org--name" / "blobs" / "blob-model.safetensors").write_bytes(b"another")
    with raises(RunError, "E-RUN-FILE", where="model.safetensors", expected="sha256"):
        acceptor.load(folder)


def test_a_link_out_of_the_cache_is_refused(hub, toy_run, tmp_path):
    folder = snapshot(hub, toy_run.folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(toy_run.folder / "model.safetensors")
    with raises(AcceptorError, "E-ENCODER-UNSAFE", where="model.safetensors"):
        acceptor.load(folder)


@pytest.mark.parametrize("files", [[], ["notes.txt"]])
@pytest.mark.parametrize("name", ["org/name", "bert-base-uncased"])
def test_a_folder_that_hides_a_hub_name_is_named(hub, tiny_bert, tmp_path, monkeypatch, files, name):
    snapshot(hub, tiny_bert, repo=name)
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir(parents=True)
    for file in files:
        (Path(name) / file).write_text("")
    with raises(EncoderError, "E-ENCODER-NAME", problem=name, next="rename"):
        find_encoder(name)


def test_a_folder_of_an_encoder_still_comes_before_the_hub(tiny_bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_bert, "org/name")
    assert find_encoder("org/name").folder == Path("org/name")
