"""Compares an exported judge's logits and verdicts with the run's; refuses one that differs."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from acceptor.data.table import Split
from acceptor.errors import RunError
from acceptor.evaluation.compare import Comparison, compare
from acceptor.evaluation.evaluate import evaluate
from acceptor.evaluation.intervals import FEW
from acceptor.judging.decision import Decision, Logits
from acceptor.judging.judge import Judge
from acceptor.model.batches import pad
from acceptor.model.encode import Encoded
from acceptor.model.onnx import INPUTS
from acceptor.runtime.device import versions
from acceptor.storage.manifest import file_sha256

MAX_DIFFERENCE = 1e-4  # of a logit in fp32
SIGNIFICANCE = 0.05  # int8 is refused if its MCC is lower with p below this
SHAPES = ((1, 1), (1, 2), (2, 9), (7, 17), (64, 11), (64, 64), (8, 128), (2, 512))
"""(rows, longest row in tokens) of the batches that every export is tested on; cut at the judge's `max_length`."""


@dataclass(frozen=True)
class Export:
    """A judge's ONNX file, Hugging Face folder or page, and how its logits and verdicts differ from the judge's own.

    Attributes:
        path: The file, or the folder. The manifest of an ONNX file, ``PATH.json``, holds these fields.
        precision: ``fp32`` or ``int8``.
        bytes: The size of the file; of a folder's ``model.safetensors``.
        sha256: The sha256 of the whole file; of a folder's ``model.safetensors``.
        inputs: Number of inputs with compared logits: random ones of all `SHAPES`, and those of ``verify``.
        largest_change: The largest difference of a logit on any of them.
        flips: Number of verdicts on ``verify`` that differ; None without it.
        comparison: MCC of the file against the judge's on ``verify``, paired; None without it, or in fp32 on too few.
        baked: The decision that is part of its head's weights; None if there is none.
    """

    path: Path
    precision: str
    bytes: int
    sha256: str
    inputs: int
    largest_change: float
    flips: int | None = None
    comparison: Comparison | None = None
    baked: Decision | None = None

    def __repr__(self) -> str:
        return f"Export({self.path} · {self.precision}, {self.bytes / 1e6:.1f} MB · logits ± {self.largest_change:.1g})"

    def to_dict(self) -> dict[str, object]:
        """All fields, and the versions of the libraries that exported it."""
        content = {**vars(self), "path": str(self.path), "versions": versions()}
        content["comparison"] = self.comparison.to_dict() if self.comparison else None
        return content | {"baked": self.baked.to_dict() if self.baked else None}


def compare_export(judge: Judge, other: Judge, out: Path, weights: Path, verify: Split | None) -> Export:
    """Compares what was written with Transformers' own network in fp32: logits and verdicts.

    A baked decision is applied to the run's logits first; differences are those of logits before it.

    Args:
        judge: The run's judge.
        other: The judge that was written, loaded again.
        out: The final path of the file or folder.
        weights: The file with its weights.
        verify: Labelled sentences to compare verdicts on; None to use only random inputs.
    """
    plain = in_plain_fp32(judge)
    precision = other.runtime.precision
    scorers = plain.scorer("plain"), other.scorer(precision)
    baked = None if other.decision == judge.decision else judge.decision
    inputs, largest = 0, 0.0
    for rows, longest in SHAPES:
        made_up = random_inputs(judge, rows, min(longest, judge.max_length), types=INPUTS[2] in input_names(judge))
        batch = pad(made_up, np.arange(rows), judge.tokenizer.pad_token_id)
        ours, theirs = (scorer.score(batch) for scorer in scorers)
        inputs, largest = inputs + rows, max(largest, _largest_difference(ours, theirs, baked))
    size, sha256 = weights.stat().st_size, file_sha256(weights)
    found = Export(out, precision if precision != "plain" else "fp32", size, sha256, inputs, largest, baked=other.baked)
    if verify is None:
        return found
    before, after = evaluate(plain, verify), evaluate(other, verify)
    largest = max(largest, _largest_difference(before.logits, after.logits, baked))
    flips = int((before.predicted != after.predicted).sum())
    comparison = None
    if len(verify) >= FEW or found.precision != "fp32":  # fp32 is known by its logits; a few sentences are welcome, too
        [comparison] = compare(before, after)
        comparison = replace(comparison, base="the run", name=out.name)
    return replace(found, inputs=inputs + len(verify), largest_change=largest, flips=flips, comparison=comparison)


def in_plain_fp32(judge: Judge) -> Judge:
    """The judge, computed by Transformers' own network in fp32."""
    return replace(judge, runtime=replace(judge.runtime, precision="plain"), lossless=False)


def input_names(judge: Judge) -> tuple[str, ...]:
    """The inputs of its network, of `INPUTS`."""
    from acceptor.model.ensemble import members_of

    types = INPUTS[2] in judge.tokenizer.model_input_names
    known = inspect.signature(members_of(judge.model)[0].forward).parameters
    return INPUTS if types and INPUTS[2] in known else INPUTS[:2]


def random_inputs(judge: Judge, rows: int, longest: int, *, types: bool) -> Encoded:
    """Inputs of random tokens, the longest first; with a second segment if ``types`` is true."""
    rng = np.random.default_rng([rows, longest])
    known = judge.tokenizer.backend_tokenizer.get_vocab().values()
    words = sorted({*known} - {judge.tokenizer.pad_token_id})
    lengths = np.concatenate([[longest], rng.integers(1, longest + 1, rows - 1)])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    second = np.concatenate([np.arange(length) * 2 >= length for length in lengths]).astype(np.int8)
    ids = rng.choice(words, int(offsets[-1])).astype(np.int32)
    return Encoded(ids, second if types else None, offsets, np.zeros(rows, np.int32))


def _largest_difference(ours: Logits, theirs: Logits, baked: Decision | None = None) -> float:
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return math.inf
    if baked is None:
        return float(np.abs(ours - theirs).max())
    return float(np.abs(baked.baked(ours) - theirs).max()) * baked.temperature


def refuse_difference(found: Export) -> None:
    """Refuses a file that differs too much from its run.

    Raises:
        RunError: In fp32, a logit differs by more than `MAX_DIFFERENCE`. In int8, logits are not finite, the MCC is
            not defined, or it is lower with p < `SIGNIFICANCE`.
    """
    fp32, one = found.precision == "fp32", found.comparison
    if found.largest_change > MAX_DIFFERENCE if fp32 else math.isinf(found.largest_change):
        raise RunError(
            "the exported network's logits differ from the run's; nothing was written",
            expected=f"a difference of at most {MAX_DIFFERENCE:g}" if fp32 else "finite logits",
            found=f"a difference of {found.largest_change:.3g} on {found.inputs} inputs",
            cause="this version of torch or ONNX Runtime exports or computes this architecture wrongly",
            next="try the versions in constraints.txt",
            code="E-RUN-EXPORT",
        )
    if not fp32 and one and math.isnan(one.difference):
        raise RunError(
            "MCC is not defined on these sentences, so int8 cannot be compared; nothing was written",
            found=f"{found.flips} of {one.n} verdicts flipped",
            cause="all gold labels, or all verdicts, are the same",
            next="--verify sentences with all labels and, by the run, all verdicts; or leave --precision int8 out",
            code="E-RUN-EXPORT",
        )
    if not fp32 and one and not (one.difference >= 0 or one.p >= SIGNIFICANCE):
        fall = f"{one.difference:+.3f} {one.interval or ''}, p {one.p:.3g}"
        raise RunError(
            f"the MCC of int8 is lower, with p < {SIGNIFICANCE}; nothing was written",
            expected=f"an MCC that is not lower, or p ≥ {SIGNIFICANCE}",
            found=f"{fall}; {found.flips} of {one.n} verdicts flipped",
            next="leave --precision int8 out",
            code="E-RUN-EXPORT",
        )
