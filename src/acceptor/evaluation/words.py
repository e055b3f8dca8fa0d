"""`explain`: how much each word of a sentence contributes to the judge's verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.data.python_inputs import as_texts
from acceptor.errors import DataError, UsageError, checked_types
from acceptor.evaluation.metrics import log_odds
from acceptor.evaluation.notebook import words_html
from acceptor.judging.judge import PAIRS, Judge
from acceptor.judging.verdicts import Verdict
from acceptor.model.encode import Words, concatenate_ids, encode_words
from acceptor.model.onnx import OnnxModel
from acceptor.progress import meter

METHODS = ("occlusion", "gradients")
STEPS = 32  # points of the integral


@dataclass(frozen=True, repr=False)
class Explanation:
    """One verdict, and what each word of its sentence contributes.

    Attributes:
        sentence: The sentence.
        words: Its words as the tokenizer splits them, in order; those after the longest input are cut.
        weights: For each word its contribution to the margin of the verdict (log-odds of its label, in nats): above 0
            it supports the verdict, below 0 it opposes it.
        verdict: The judge's verdict.
        method: ``occlusion`` or ``gradients``.
        margin: The verdict's margin.
        baseline: The margin of the sentence with all of its words masked; None if a server did not tell it.
        error: For ``gradients``: the difference between the weights' sum and ``margin - baseline``; None for
            ``occlusion``, whose weights need not add up.
    """

    sentence: str
    words: tuple[str, ...]
    weights: tuple[float, ...]
    verdict: Verdict
    method: str
    margin: float
    baseline: float | None
    error: float | None

    def __repr__(self) -> str:
        return f"Explanation({self.verdict.label!r}, {self.verdict.probability:.2f}: {self.line})"

    def _repr_html_(self) -> str:
        return words_html(f"{self.verdict.label} {self.verdict.probability:.2f}", self.words, self.weights)

    @property
    def line(self) -> str:
        """All words with their weights in one line."""
        return " · ".join(f"{word} {weight:+.2f}" for word, weight in zip(self.words, self.weights, strict=True))

    def to_dict(self) -> dict[str, object]:
        """All fields, for JSON."""
        return {
            "sentence": self.sentence,
            "words": list(self.words),
            "weights": list(self.weights),
            "verdict": self.verdict.to_dict(),
            "method": self.method,
            "margin": self.margin,
            "baseline": self.baseline,
            "error": self.error,
        }


@checked_types
def explain(judge: Judge, sentences: Any, *, method: str = "occlusion") -> list[Explanation]:
    """Weighs every word of every sentence, in fp32.

    ``occlusion``: by how much the verdict's margin falls if the mask token replaces the word; if the tokenizer has
    none, if the word is left out. One forward pass for each word, no gradients.

    ``gradients``: integrated gradients of that margin along the straight line from a baseline, the word embeddings of
    mask tokens (else padding) between the sentence's own special tokens, to the sentence's (Sundararajan, Taly & Yan
    2017, eq. 3; Gauss-Legendre, 32 points; Captum). The weights add up to the difference of the two margins.

    A weight shows what this judge reacts to, not why, nor whether it is right. The tokens of a word count together.

    Args:
        judge: The judge.
        sentences: N sentences, in any form that `Judge.encode` takes.
        method: ``occlusion`` or ``gradients``.

    Raises:
        DataError: An input is not a sentence, or the judge was trained on pairs.
        UsageError: There is no such method; or Captum is not installed; or gradients of an exported judge, or of an
            ensemble.
    """
    check_method(method)
    sentences, seconds = as_texts(sentences)
    if seconds is not None or judge.inputs == PAIRS:
        raise DataError(
            "explain takes single sentences",
            found="pairs",
            expected="a judge of single sentences",
            code="E-DATA-PAIRS",
        )
    if method == "gradients" and not hasattr(judge.model, "get_input_embeddings"):
        exported = isinstance(judge.model, OnnxModel)
        raise UsageError(
            f"an {'exported judge' if exported else 'ensemble'} computes no gradients",
            next=f"--why occlusion; or explain with {'its run folder' if exported else 'one of its runs'}",
            code="E-USAGE-JUDGE",
        )
    verdicts = judge(sentences)
    if not verdicts:
        return []
    inputs = encode_words(judge.tokenizer, sentences, max_length=judge.max_length)
    chosen = np.array([judge.labels.index(verdict.label) for verdict in verdicts], dtype=np.int64)
    blank = [np.where(one.owners < 0, one.ids, _filler(judge)).astype(np.int32) for one in inputs]
    margins = _margins(judge, [*(one.ids for one in inputs), *blank], np.tile(chosen, 2)).reshape(2, -1)
    errors: Sequence[float | None] = [None] * len(inputs)
    if method == "occlusion":
        weights = _occlusion(judge, inputs, chosen, margins[0])
    else:
        weights, errors = _gradients(judge, inputs, blank, chosen)
    parts = zip(sentences, inputs, weights, verdicts, margins[0].tolist(), margins[1].tolist(), errors, strict=True)
    return [
        Explanation(sentence, one.words, tuple(weight.tolist()), verdict, method, margin, baseline, error)
        for sentence, one, weight, verdict, margin, baseline, error in parts
    ]


def check_method(method: str) -> None:
    """Refuses a method that is unknown or not installed.

    Raises:
        UsageError: It is one of them.
    """
    if method not in METHODS:
        raise UsageError(
            f"there is no method {method!r} of explaining",
            expected=" or ".join(METHODS),
            code="E-USAGE-OPTION",
        )
    if method == "gradients":
        _captum()


def _captum() -> Any:
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise UsageError(
            "integrated gradients need Captum",
            cause=str(error),
            next="pip install 'acceptor[explain]', or use occlusion, which needs no other package",
            code="E-USAGE-EXTRA",
        ) from error
    return IntegratedGradients


def _filler(judge: Judge) -> int:
    """The token that replaces a word: mask, else padding."""
    mask = judge.tokenizer.mask_token_id
    return int(judge.tokenizer.pad_token_id if mask is None else mask)


def _margins(judge: Judge, ids: list[npt.NDArray[np.int32]], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The margin of one label for each input, float64, shape (N,)."""
    encoded = concatenate_ids(ids)
    with meter("weighing words", len(encoded), "inputs") as bar:
        logits = judge.in_fp32().logits_of(encoded, lambda rows: bar.advance(len(rows)))
    margins = np.stack([log_odds(logits, label) for label in range(len(judge.labels))])
    return np.asarray(margins[labels, np.arange(len(ids))])


def _occlusion(
    judge: Judge, inputs: list[Words], labels: npt.NDArray[np.int64], full: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.float64]]:
    """For each input the weights of its words: its margin less the margin without the word."""
    mask = judge.tokenizer.mask_token_id
    variants = [_without(one, word, mask) for one in inputs for word in range(len(one.words))]
    counts = [len(one.words) for one in inputs]
    without = _margins(judge, variants, np.repeat(labels, counts))
    return np.split(np.repeat(full, counts) - without, np.cumsum(counts)[:-1])


def _without(one: Words, word: int, mask: int | None) -> npt.NDArray[np.int32]:
    """The ids with one mask, or nothing, in place of a word's pieces."""
    pieces = np.flatnonzero(one.owners == word)
    kept = np.delete(one.ids, pieces)
    return kept if mask is None else np.insert(kept, pieces[0], mask)


def _gradients(
    judge: Judge, inputs: list[Words], blank: list[npt.NDArray[np.int32]], labels: npt.NDArray[np.int64]
) -> tuple[list[npt.NDArray[np.float64]], list[float]]:
    """For each input the weights of its words, and the error of their sum: see `Explanation.error`."""
    import torch

    model = judge.model
    embed = model.get_input_embeddings()
    weights, errors = [], []
    with meter("weighing words", len(inputs), "inputs") as bar:
        for one, base, label in zip(inputs, blank, labels.tolist(), strict=True):

            def margin(embedded: Any, label: int = label) -> Any:
                mask = torch.ones(embedded.shape[:2], dtype=torch.long, device=embedded.device)
                scores = model(inputs_embeds=embedded, attention_mask=mask).logits.double()
                others = torch.cat([scores[:, :label], scores[:, label + 1 :]], dim=1)
                return scores[:, label] - others.logsumexp(dim=1)

            with torch.no_grad():
                ends = embed(torch.from_numpy(np.stack([one.ids, base]).astype(np.int64)).to(judge.runtime.device))
            by_number, missed = _captum()(margin).attribute(
                ends[:1], baselines=ends[1:], n_steps=STEPS, return_convergence_delta=True
            )
            by_token = by_number[0].double().sum(dim=-1).cpu().numpy()
            weights.append(np.array([by_token[one.owners == word].sum() for word in range(len(one.words))]))
            errors.append(float(missed))
            bar.advance(1)
    return weights, errors
