"""Weights of words: occlusion by hand, completeness of integrated gradients, the worst errors, the commands."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

import acceptor
from acceptor.errors import DataError, UsageError
from acceptor.evaluation.metrics import log_odds
from acceptor.judging.judge import Judge
from acceptor.model.classifier import new_classifier
from acceptor.model.encode import encode, encode_words
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.runtime.device import choose_runtime
from conftest import needs_minilm, raises, toy_rows
from tiny import ARCHITECTURES, make_encoder

SENTENCES = ["The cats don't sleep.", "Which boy did the girl see in the garden?", "Naïve café owners — or mat!"]


@pytest.fixture(scope="module")
def toy_judge(toy_run):
    return acceptor.load(toy_run.folder)


def judge_of(name: str) -> Judge:
    """A judge with a new head: what it says is of no worth, what its words weigh is as well defined."""
    encoder = find_encoder(name)
    runtime = choose_runtime("cpu", "fp32")
    model = new_classifier(encoder, ("unacceptable", "acceptable"), 3).eval()
    return Judge(model, load_tokenizer(encoder.folder), ("unacceptable", "acceptable"), 40, runtime, encoder.to_dict())


# ---------------------------------------------------------------------- words


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_words_are_in_order_and_cover_the_judges_ids(architecture, tmp_path):
    tokenizer = load_tokenizer(make_encoder(tmp_path, architecture))
    encoded = encode(tokenizer, SENTENCES, max_length=40)
    for row, one in enumerate(encode_words(tokenizer, SENTENCES, max_length=40)):
        assert one.ids.tolist() == encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].tolist()
        assert (np.flatnonzero(one.owners < 0) == [0, len(one.ids) - 1]).all()
        assert (np.diff(one.owners[1:-1]) >= 0).all()
        assert one.owners.max() == len(one.words) - 1
        assert "".join(one.words).replace(" ", "") == SENTENCES[row].replace(" ", "")
    short = encode_words(tokenizer, SENTENCES, max_length=6)[1]
    assert tokenizer.backend_tokenizer.truncation is None
    assert len(short.ids) == 6
    assert SENTENCES[1].replace(" ", "").startswith("".join(short.words))


# ---------------------------------------------------------------------- occlusion


def margin_by_hand(judge, ids, label):
    with torch.no_grad():
        scores = judge.model(input_ids=torch.tensor([ids])).logits[0].double()
    return float(scores[label] - scores[1 - label])


def test_an_occlusion_weight_is_the_margin_less_the_margin_with_a_mask_in_the_words_place(toy_judge):
    sentence = toy_rows(6, 3)[4][0]  # "the cats …"
    (found,) = acceptor.explain(toy_judge, [sentence])
    pieces = toy_judge.tokenizer.backend_tokenizer.encode(sentence)
    word = found.words.index("cats")
    at = [index for index, owner in enumerate(pieces.word_ids) if owner == word]
    hidden = [*pieces.ids[: at[0]], toy_judge.tokenizer.mask_token_id, *pieces.ids[at[-1] + 1 :]]
    label = toy_judge.labels.index(found.verdict.label)
    expected = margin_by_hand(toy_judge, pieces.ids, label) - margin_by_hand(toy_judge, hidden, label)
    assert found.weights[word] == pytest.approx(expected, abs=1e-4)
    assert (found.method, found.error) == ("occlusion", None)
    assert found.verdict == toy_judge([sentence])[0]
    assert found.margin == pytest.approx(margin_by_hand(toy_judge, pieces.ids, label), abs=1e-4)


def test_without_a_mask_token_the_word_is_left_out(toy_run):
    judge = acceptor.load(toy_run.folder)
    judge.tokenizer.mask_token = None
    (found,) = acceptor.explain(judge, ["the cat them see."])
    pieces = judge.tokenizer.backend_tokenizer.encode("the cat them see.")
    label = judge.labels.index(found.verdict.label)
    for word in range(len(found.words)):
        kept = [index for index, owner in zip(pieces.ids, pieces.word_ids, strict=True) if owner != word]
        expected = margin_by_hand(judge, pieces.ids, label) - margin_by_hand(judge, kept, label)
        assert found.weights[word] == pytest.approx(expected, abs=1e-4), found.words[word]


def test_the_word_that_decides_weighs_most(toy_judge):
    rows = [sentence for sentence, label in toy_rows(60, 4) if label == "0"]
    found = acceptor.explain(toy_judge, rows)
    assert {one.verdict.label for one in found} == {"unacceptable"}
    decisive = [one.words[int(np.argmax(one.weights))] for one in found]
    assert sum(word in ("cat", "them") for word in decisive) > 0.8 * len(rows)
    both = acceptor.explain(toy_judge, rows[:10], method="gradients")
    assert sum(one.words[int(np.argmax(one.weights))] in ("cat", "them") for one in both) >= 7


def test_weights_are_of_fp32_whatever_the_judges_precision(toy_judge):
    rough = dataclasses.replace(
        toy_judge, runtime=dataclasses.replace(toy_judge.runtime, precision="bf16"), lossless=False
    )
    rows = [sentence for sentence, _ in toy_rows(30, 8)]
    for one, other in zip(acceptor.explain(toy_judge, rows), acceptor.explain(rough, rows), strict=True):
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-4)


# ---------------------------------------------------------------------- integrated gradients


def by_equation_3(judge, sentence, label, points=32):
    """Integrated gradients of the word embeddings, one point at a time; per token."""
    pieces = judge.tokenizer.backend_tokenizer.encode(sentence)
    special = np.array(pieces.special_tokens_mask, dtype=bool)
    base = np.where(special, pieces.ids, judge.tokenizer.mask_token_id)
    embed = judge.model.get_input_embeddings()
    end, start = (embed(torch.tensor([ids])).detach() for ids in (pieces.ids, base.tolist()))
    nodes, weights = np.polynomial.legendre.leggauss(points)
    total = torch.zeros_like(end)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (start + node * (end - start)).requires_grad_()
        scores = judge.model(inputs_embeds=point).logits[0]
        (slope,) = torch.autograd.grad(scores[label] - scores[1 - label], point)
        total += weight * slope
    return ((end - start) * total).sum(dim=-1)[0].numpy(), pieces


def check_gradients(judge, sentences, tolerance, share=0.0):
    for one in acceptor.explain(judge, sentences, method="gradients"):
        # Completeness (Sundararajan et al. 2017, proposition 1; section 5 asks for 5 % of the difference).
        assert sum(one.weights) == pytest.approx(one.margin - one.baseline, rel=share, abs=tolerance)
        assert sum(one.weights) - (one.margin - one.baseline) == pytest.approx(one.error, abs=1e-4)
        by_token, pieces = by_equation_3(judge, one.sentence, judge.labels.index(one.verdict.label))
        words = [word for word in dict.fromkeys(pieces.word_ids) if word is not None]
        expected = [by_token[np.array(pieces.word_ids) == word].sum() for word in words]
        np.testing.assert_allclose(one.weights, expected, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_are_complete_for_every_architecture(architecture, tmp_path):
    check_gradients(judge_of(str(make_encoder(tmp_path, architecture, initializer_range=0.2))), SENTENCES, 5e-3)


def test_gradients_of_a_trained_judge_are_complete(toy_judge):
    # Its margins are steep, so the integral's 32 points miss more than in a network of small weights.
    check_gradients(toy_judge, [sentence for sentence, _ in toy_rows(6, 2)], 5e-3, share=0.02)


@pytest.mark.real
@needs_minilm
def test_minilm_is_explained_by_both_methods():
    judge = judge_of("minilm")
    check_gradients(judge, ["The book was written by John.", "Which unbelievably big cat don't sleep?"], 1e-3)
    (found,) = acceptor.explain(judge, ["The unbelievability of it."])
    assert found.words == ("The", "unbelievability", "of", "it", ".")
    pieces = judge.tokenizer.backend_tokenizer.encode("The unbelievability of it.").ids
    label = judge.labels.index(found.verdict.label)
    hidden = [*pieces[:2], judge.tokenizer.mask_token_id, *pieces[-4:]]  # of five pieces one mask is left
    assert len(pieces) - len(hidden) >= 2
    expected = margin_by_hand(judge, pieces, label) - margin_by_hand(judge, hidden, label)
    assert found.weights[1] == pytest.approx(expected, abs=1e-5)


# ---------------------------------------------------------------------- what is refused, what is shown


def test_explanations_have_a_repr_and_refuse_other_input(toy_judge, monkeypatch):
    (one,) = acceptor.explain(toy_judge, ["the cats see."])
    assert repr(one).startswith(f"Explanation({one.verdict.label!r}, {one.verdict.probability:.2f}: the ")
    assert json.loads(json.dumps(one.to_dict()))["weights"] == list(one.weights)
    assert acceptor.explain(toy_judge, []) == []
    with raises(DataError, "E-DATA-TYPE", found="the cats see.", next="judge(["):
        acceptor.explain(toy_judge, "the cats see.")
    with raises(UsageError, "E-USAGE-OPTION", problem="'shap'", expected="occlusion or gradients"):
        acceptor.explain(toy_judge, ["the cats see."], method="shap")
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with raises(UsageError, "E-USAGE-EXTRA", next="acceptor[explain]"):
        acceptor.explain(toy_judge, ["the cats see."], method="gradients")


def test_the_worst_errors_are_sorted_by_probability(toy_run):
    judge = acceptor.load(toy_run.folder)
    rows = [(text, "1" if label == "0" else "0") if at % 4 == 0 else (text, label) for at, (text, label) in
            enumerate(toy_rows(60, 9))]  # fmt: skip
    report = acceptor.evaluate(judge, acceptor.load_data(rows).train)
    worst = report.worst(5)
    wrong = np.flatnonzero(report.predicted != report.split.gold)
    probability = np.exp(log_odds(report.logits, 1))
    sure = np.maximum(probability, 1) / (1 + probability)
    assert worst["line"].to_list() == [int(row) + 1 for row in wrong[np.argsort(-sure[wrong], kind="stable")][:5]]
    assert worst.columns == ["line", "sentence", "gold", "verdict", "probability"]
    assert (worst["gold"] != worst["verdict"]).all()
    assert report.worst(1000).height == len(wrong) >= 15


def test_the_commands_show_weights_of_words(run_cli, toy_run, tmp_path):
    code, out, err = run_cli("judge", toy_run.folder, "the cat them see.", "--why", "gradients")
    assert code == 0, err
    for words in ("unacceptable", "them", "completeness error", "for (+) or against (-)"):
        assert words in out, words
    content = json.loads(run_cli("judge", toy_run.folder, "the cats see.", "--why", "occlusion", "--json")[1])
    assert content["explanations"][0]["words"][:2] == ["the", "cats"]
    file = tmp_path / "wrong.tsv"
    file.write_text("".join(f"{sentence}\t{1 - int(label)}\n" for sentence, label in toy_rows(12, 3)))
    code, out, err = run_cli("evaluate", toy_run.folder, file, "--errors", "3", "--why", "occlusion")
    assert code == 0, err
    assert "the 3 most confident errors" in out
    assert out.count(" · ") > 6
    content = json.loads(run_cli("evaluate", toy_run.folder, file, "--errors", "2", "--json")[1])
    assert [set(row) for row in content["errors"]] == [{"line", "sentence", "gold", "verdict", "probability"}] * 2
    for arguments, words in (
        (("evaluate", toy_run.folder, file, "--why", "occlusion"), "--errors 20"),
        (("evaluate", toy_run.folder, file, "--errors", "3", "--why", "lime"), "occlusion or gradients"),
        (("judge", toy_run.folder, "--why", "occlusion"), "on the command line"),
    ):
        code, _, err = run_cli(*arguments)
        assert (code, words in err) == (2, True), err
