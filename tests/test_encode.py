"""Text to ids: the tokenizer's own special tokens, ragged, truncated, the same as Transformers'."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceptor.errors import EncoderError
from acceptor.model.encode import encode, token_report
from acceptor.model.tokenizer import load_tokenizer, parse_tokenizer
from conftest import raises
from tiny import ARCHITECTURES, TEXTS, make_encoder, make_tokenizer

KINDS = sorted({kind for _, kind, _ in ARCHITECTURES.values()})


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    make_tokenizer(request.param).save_pretrained(folder)
    return load_tokenizer(folder)


def rows_of(encoded):
    return [encoded.ids[a:b].tolist() for a, b in zip(encoded.offsets, encoded.offsets[1:], strict=False)]


def test_ids_are_those_of_transformers(tokenizer):
    assert rows_of(encode(tokenizer, TEXTS[:6], max_length=64)) == [tokenizer(text)["input_ids"] for text in TEXTS[:6]]


@pytest.mark.parametrize("max_length", [5, 8, 11, 64])
def test_truncation_is_that_of_transformers(tokenizer, max_length):
    encoded = encode(tokenizer, TEXTS[:6], max_length=max_length)
    expected = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in TEXTS[:6]]
    full = encode(tokenizer, TEXTS[:6], max_length=10_000)
    assert rows_of(encoded) == expected
    assert encoded.cut.tolist() == (full.lengths - encoded.lengths).tolist()


@pytest.mark.parametrize("max_length", [7, 12, 64])
def test_pairs_are_those_of_transformers(tokenizer, max_length):
    encoded = encode(tokenizer, TEXTS[:5], TEXTS[1:6], max_length=max_length)
    options = {"truncation": "longest_first", "max_length": max_length, "return_token_type_ids": True}
    expected = [tokenizer(a, b, **options) for a, b in itertools.pairwise(TEXTS[:6])]
    assert rows_of(encoded) == [row["input_ids"] for row in expected]
    if "token_type_ids" in tokenizer.model_input_names:
        assert encoded.type_ids.tolist() == [one for row in expected for one in row["token_type_ids"]]
        assert encoded.type_ids.max() == 1
    else:
        assert encoded.type_ids is None


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=8))
def test_ids_do_not_depend_on_other_texts(tiny_bert, texts):
    tokenizer = load_tokenizer(tiny_bert)
    together = rows_of(encode(tokenizer, texts, max_length=20))
    alone = [rows_of(encode(tokenizer, [text], max_length=20))[0] for text in texts]
    assert together == alone
    assert all(2 <= len(row) <= 20 for row in together)


@pytest.mark.parametrize("text", ["[SEP] [CLS]", "a [PAD] b", "[MASK]"])
def test_special_tokens_in_a_sentence_are_encoded_as_text(tiny_bert, text):
    tokenizer = load_tokenizer(tiny_bert)
    inner = rows_of(encode(tokenizer, [text], max_length=64))[0][1:-1]
    special = set(tokenizer.convert_tokens_to_ids(["[SEP]", "[CLS]", "[PAD]", "[MASK]"]))
    assert inner
    assert not special & set(inner)


def test_truncation_report(tiny_bert):
    tokenizer = load_tokenizer(tiny_bert)
    cut = encode(tokenizer, ["the cats sleep", "the cats sleep on the mat"], max_length=6)
    assert cut.truncation() == "1 of 2 inputs cut (50.0%), by 2.0 tokens on average, 2 at most"
    whole = encode(tokenizer, ["the cats sleep"], max_length=6)
    assert whole.truncation() == "no input was cut (longest 5 tokens)"


def test_token_report_shows_the_first_sentence(tiny_bert):
    report = token_report(load_tokenizer(tiny_bert), ["The cats sleep.", "John."], max_length=64)
    assert report["first"] == "[CLS] the cats sleep . [SEP]"
    assert report["lengths"] == "4 to 6 tokens, mean 5.0, 10 in all"


def test_chunks_are_concatenated_correctly(tiny_bert, monkeypatch):
    tokenizer = load_tokenizer(tiny_bert)
    whole = encode(tokenizer, TEXTS[:7], TEXTS[1:8], max_length=12)
    monkeypatch.setattr("acceptor.model.encode.CHUNK", 3)
    parts = encode(tokenizer, TEXTS[:7], TEXTS[1:8], max_length=12)
    for name in ("ids", "type_ids", "offsets", "cut"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    make_encoder(tmp_path / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "bare" / name).unlink()
    with raises(EncoderError, "E-ENCODER-FILE", expected="tokenizer.json", next="save_pretrained"):
        load_tokenizer(tmp_path / "bare")


def test_a_tokenizer_without_padding_token_is_refused(tmp_path):
    tokenizer = make_tokenizer("wordpiece")
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with raises(EncoderError, "E-ENCODER-TOKENIZER", expected="padding token"):
        load_tokenizer(tmp_path)


def test_a_damaged_tokenizer_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{not json")
    with raises(EncoderError, "E-ENCODER-TOKENIZER"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("harm", ["renamed in the vocabulary", "another is named"])
def test_a_tokenizer_whose_unknown_token_is_missing_is_refused(harm, tiny_bert, tmp_path):
    """Else it fails at the first letter that it does not know, which can be hours later."""
    shutil.copytree(tiny_bert, tmp_path / "bert")
    file = tmp_path / "bert" / "tokenizer.json"
    about = json.loads(file.read_text("utf-8"))
    vocabulary = about["model"]["vocab"]
    if harm == "another is named":
        about["model"]["unk_token"] = "[NONE]"
    else:
        vocabulary["[NONE]"] = vocabulary.pop("[UNK]")
    text = json.dumps(about)
    known = {"pad_token_id": 0, "mask_token_id": None, "model_input_names": ["input_ids"]}
    with raises(EncoderError, "E-ENCODER-TOKENIZER", where="judge.onnx", cause="WordPiece error: Missing"):
        parse_tokenizer(text, known, "judge.onnx")
    file.write_text(text, "utf-8")
    if harm == "renamed in the vocabulary":  # Transformers takes the unknown token's name from its own settings
        with raises(EncoderError, "E-ENCODER-TOKENIZER", where=str(tmp_path / "bert"), cause="Missing [UNK]"):
            load_tokenizer(tmp_path / "bert")


def test_a_disk_too_full_for_the_copy_of_a_tokenizer_is_reported(tiny_bert, tmp_path):
    """No file of the process may grow past 149 bytes, as on a full disk: the error is not about a damaged tokenizer."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from acceptor.model.tokenizer import load_tokenizer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (149, 149))\n"
        "try: load_tokenizer(Path(sys.argv[1]))\n"
        "except Exception as error: raise SystemExit(type(error).__name__ + str(error))"
    )
    done = subprocess.run([sys.executable, "-c", code, tiny_bert], capture_output=True, text=True)
    assert done.stderr.startswith("ResourceErrorthe disk of temporary files is full"), done.stderr
