"""Compares an exported file's logits and verdicts with the run's; refuses a file that differs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acceptor.data.table import Split
from acceptor.errors import RunError
from acceptor.evaluation.compare import Comparison, compare
from acceptor.evaluation.evaluate import evaluate
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
    """A judge's ONNX file, and how its logits and verdicts differ from the judge's own.

    Attributes:
        path: The file. Its manifest, ``PATH.json``, holds these fields.
        precision: ``fp32`` or ``int8``.
        bytes: The size of the file.
        sha256: The sha256 of the whole file.
        inputs: Number of inputs with compared logits: random ones of all `SHAPES`, and those of ``verify``.
        largest_change: The largest difference of a logit on any of them.
        flips: Number of verdicts on ``verify`` that differ; None without it.
        comparison: MCC of the file against the judge's on ``verify``, paired; None without it.
    """

    path: Path
    precision: str
    bytes: int
    sha256: str
    inputs: int
    largest_change: float
    flips: int | None = None
    comparison: Comparison | None = None

    def __repr__(self) -> str:
        return f"Export({self.path} · {self.precision}, {self.bytes / 1e6:.1f} MB · logits ± {self.largest_change:.1g})"

    def to_dict(self) -> dict[str, object]:
        """All fields, and the versions of the libraries that exported it."""
        content = {**vars(self), "path": str(self.path), "versions": versions()}
        return content | {"comparison": self.comparison.to_dict() if self.comparison else None}


def compare_export(judge: Judge, other: Judge, out: Path, verify: Split | None) -> Export:
    """Compares the file's logits and verdicts with those of Transformers' own network in fp32.

    Args:
        judge: The run's judge.
        other: The file's judge.
        out: The final path of the file.
        verify: Labelled sentences to compare verdicts on; None to use only random inputs.
    """
    plain = replace(judge, runtime=replace(judge.runtime, precision="plain"), lossless=False)
    precision, where = other.runtime.precision, Path(other.model.where)
    scorers = plain.scorer("plain"), other.scorer(precision)
    inputs, largest = 0, 0.0
    for rows, longest in SHAPES:
        made_up = random_inputs(judge, rows, min(longest, judge.max_length), types=INPUTS[2] in other.model.inputs)
        batch = pad(made_up, np.arange(rows), judge.tokenizer.pad_token_id)
        ours, theirs = (scorer.score(batch) for scorer in scorers)
        inputs, largest = inputs + rows, max(largest, _largest_difference(ours, theirs))
    found = Export(out, precision, where.stat().st_size, file_sha256(where), inputs, largest)
    if verify is None:
        return found
    before, after = evaluate(plain, verify), evaluate(other, verify)
    largest = max(largest, _largest_difference(before.logits, after.logits))
    [comparison] = compare(before, after)
    flips = int((before.predicted != after.predicted).sum())
    comparison = replace(comparison, base="the run", name=out.name)
    return replace(found, inputs=inputs + len(verify), largest_change=largest, flips=flips, comparison=comparison)


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


def _largest_difference(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> float:
    finite = np.isfinite(ours).all() and np.isfinite(theirs).all()
    return float(np.abs(ours - theirs).max()) if finite else math.inf


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
