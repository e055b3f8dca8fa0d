"""`Judge`: a classifier with its tokenizer and labels, from sentences to verdicts."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.frames import Frame, annotated
from acceptor.data.python_inputs import as_texts, by_position
from acceptor.errors import DataError, UsageError, checked_types
from acceptor.judging.close_calls import CLOSE_CALLS, Values, recompute_close_calls
from acceptor.judging.decision import MOST_PROBABLE, Decision, Logits
from acceptor.judging.dedup import LogitsCache
from acceptor.judging.verdicts import Verdict, judged_columns
from acceptor.model.batches import Rows, judging_batches, pad
from acceptor.model.coverage import TRUNCATED, check_known, warn_of_truncated
from acceptor.model.encode import Encoded, encode
from acceptor.model.onnx import OnnxModel
from acceptor.model.scorer import Scorer
from acceptor.model.tokenizer import encode_as_text
from acceptor.runs.fingerprints import write_fingerprints
from acceptor.runs.judge_file import JudgeFile, member_folders, write_judge_file
from acceptor.runs.record import FORMAT
from acceptor.runtime.device import Runtime
from acceptor.storage.files import explain_write_errors, new_folder, user_path
from acceptor.text import Json

TOKENS, FEW_TOKENS = 2048, 256  # most tokens of a batch, so that it fits a core's cache; the same for few inputs
SENTENCES, PAIRS = "sentences", "pairs"

_making = threading.Lock()  # each scorer is made once, by one thread


@dataclass(frozen=True, eq=False)
class Judge:
    """A fine-tuned classifier with its tokenizer, labels and decision. Made by `train` and `load`.

    Attributes:
        model: The Transformers classifier, an `Ensemble` of several, or an `OnnxModel`.
        tokenizer: Its fast tokenizer: Transformers', or a `Tokenizer`.
        labels: Label names; a label's position is its label id.
        max_length: Longest input in tokens; longer ones are cut.
        runtime: Its device and precision.
        encoder: Name, revision and hash of the encoder that was fine-tuned.
        lossless: In bf16, compute close calls again in fp32, so that no label changes; no effect in fp32.
        decision: How its logits become probabilities and verdicts: temperature and threshold.
        trained_on: Fingerprints of the training rows, uint64; None if they are not known.
        selected_on: The sha256 of the file with the rows that chose its checkpoint or threshold; None if none did.
        inputs: What it was trained on, ``sentences`` or ``pairs``; None if that is not known.
        written: How each label is written in the training data, if its name differs; else None.
        baked: The decision that is part of its head's weights: see `export`; None if there is none.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_length: int
    runtime: Runtime
    encoder: dict[str, Any]
    lossless: bool = True
    decision: Decision = MOST_PROBABLE
    trained_on: npt.NDArray[np.uint64] | None = None
    selected_on: str | None = None
    inputs: str | None = None
    written: tuple[str, ...] | None = None
    baked: Decision | None = None

    def __repr__(self) -> str:
        return f"Judge({' / '.join(self.labels)} · {self.encoder['name']} on {self.runtime.device})"

    def __getstate__(self) -> dict[str, object]:
        """For pickle, copy and joblib: all fields except the scorers, which are made again when they are needed."""
        return {name: value for name, value in vars(self).items() if name != "_scorers"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        encode_as_text(self.tokenizer.backend_tokenizer)  # pickle loses this setting of a tokenizer

    def __call__(self, sentences: Any, seconds: Any = None) -> list[Verdict]:
        """One verdict for every sentence (or pair), in order.

        Raises:
            DataError: As `encode`.
        """
        encoded = self.encode(sentences, seconds)
        return self.verdicts(self.logits_of(encoded), encoded)

    def encode(
        self,
        sentences: Any,
        seconds: Any = None,
        *,
        place: Callable[[int], str] = by_position,
        refuse: bool = True,
    ) -> Encoded:
        """The token ids of sentences (or pairs). `as_texts` lists the accepted types.

        Args:
            sentences: A list, an array, a Series of str; or a frame.
            seconds: The second sentences of pairs that are not in a frame.
            place: Gives the place of an input, for errors.
            refuse: False if the caller handles `Encoded.all_unknown` itself.

        Raises:
            DataError: Another type; an empty text or not a string; pairs but it was trained on sentences, or
                the other way round; a text without any token in its vocabulary.
        """
        sentences, seconds = as_texts(sentences, seconds, place)
        self.check_inputs(pairs=seconds is not None)
        encoded = encode(self.tokenizer, sentences, seconds, max_length=self.max_length)
        if refuse:
            check_known(encoded, sentences, place)
        return encoded

    def check_inputs(self, *, pairs: bool) -> None:
        """Refuses inputs of the kind that it was not trained on.

        Raises:
            DataError: Pairs but it was trained on sentences, or the other way round.
        """
        given = PAIRS if pairs else SENTENCES
        if self.inputs in (None, given):
            return
        advice = "name the columns: --columns sentence=NAME,second=NAME; in Python: judge(sentences, seconds)"
        if pairs:
            advice = "leave the second texts out (those of a file: --columns other=NAME), or train a judge on pairs"
        raise DataError(
            f"this judge was trained on {'single sentences' if pairs else 'pairs of sentences'}",
            expected="one text in each row" if pairs else "two texts in each row",
            found="pairs of sentences" if pairs else "single sentences",
            next=advice,
            code="E-DATA-PAIRS",
        )

    def logits(self, sentences: Any, seconds: Any = None) -> Logits:
        """Raw scores: float32, shape (N, labels), in the order of the sentences."""
        return self.logits_of(self.encode(sentences, seconds))

    def logits_of(self, encoded: Encoded, on_batch: Callable[[Rows], None] | None = None) -> Logits:
        """Raw scores of encoded inputs: float32, shape (N, labels). ``on_batch`` gets the rows of each finished batch.

        A lossless judge in bf16 computes close calls again in fp32. A call is the verdict on an input; its margin is
        that between the two best labels.
        """
        everything = np.arange(len(encoded))
        if self.recomputes_close_calls and len(encoded) <= CLOSE_CALLS:
            return self.logits_in(encoded, everything, "fp32", on_batch)
        scores = self.logits_in(encoded, everything, self.runtime.precision, on_batch)
        self.recompute_close_verdicts(encoded, scores)
        return scores

    def recompute_close_verdicts(self, encoded: Encoded, logits: Logits) -> None:
        """`recompute_close_calls` for the verdicts on N inputs, whose ``logits`` are changed in place."""
        self.recompute_close_calls(
            encoded,
            logits,
            np.arange(len(encoded))[None],
            margins=lambda logits: self.decision.margins(logits[0]),
            changes=lambda before, after: np.ptp(after[0] - before[0], axis=1),
        )

    def recompute_close_calls(
        self,
        encoded: Encoded,
        logits: Logits,
        calls: Rows,
        *,
        margins: Callable[[Logits], Values],
        changes: Callable[[Logits, Logits], Values],
        at_once: int = CLOSE_CALLS,
    ) -> None:
        """Computes the closest of some calls again in fp32, in place; only a lossless judge in bf16 does anything here.

        Args:
            encoded: N inputs.
            logits: What `logits_of` gave for them.
            calls: int64, shape (k, M): each of M calls is decided by k inputs: a verdict by one, a pair's order by two.
            margins: How far each call is from another answer, ≥ 0, shape (M,), from logits of shape (k, M, labels).
            changes: By how much calls have changed, ≥ 0, shape (m,), from the logits before and after, (k, m, labels).
            at_once: How many calls are computed again before margins and changes are compared.
        """
        if self.recomputes_close_calls and len(encoded) > CLOSE_CALLS:  # fewer have been judged in fp32
            in_fp32 = functools.partial(self.logits_in, encoded, precision="fp32")
            recompute_close_calls(logits, calls, margins=margins, changes=changes, in_fp32=in_fp32, at_once=at_once)

    @property
    def recomputes_close_calls(self) -> bool:
        """True if close calls are computed again in fp32."""
        return self.lossless and self.runtime.precision != "fp32"

    @functools.cached_property
    def _scorers(self) -> dict[str, Scorer]:
        """The scorers, by precision. Each is made when it is first needed."""
        return {}

    def scorer(self, precision: str) -> Scorer:
        """The function that turns padded batches into logits in that precision."""
        with _making:
            if precision not in self._scorers:
                self._scorers[precision] = self._new_scorer(precision)
            return self._scorers[precision]

    def _new_scorer(self, precision: str) -> Scorer:
        if isinstance(self.model, OnnxModel):
            return self.model.scorer(self.runtime.threads)
        from acceptor.model.network import torch_scorer

        return torch_scorer(self.model, precision=precision, device=self.runtime.device)

    def logits_in(
        self, encoded: Encoded, rows: Rows, precision: str, on_batch: Callable[[Rows], None] | None = None
    ) -> Logits:
        """Raw scores of some inputs, float32, shape (len(rows), labels)."""
        scorer = self.scorer(precision)
        scores = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        lengths, cores = encoded.lengths[rows], scorer.cores()
        # Few inputs make smaller batches, so that no core waits long for another one's last batch; and so that ONNX
        # Runtime, which computes padding, has less of it. Else one batch: each costs a turn of the interpreter's lock.
        smaller = cores > 1 or isinstance(self.model, OnnxModel)
        budget = min(TOKENS, max(FEW_TOKENS, int(lengths.sum()) // (4 * cores))) if smaller else TOKENS

        def judge(at: Rows) -> None:
            scores[at] = scorer.score(pad(encoded, rows[at], self.tokenizer.pad_token_id))
            if on_batch:
                on_batch(rows[at])

        scorer.run(judge, judging_batches(lengths, budget))
        return scores

    def with_baked_decision(self) -> Judge:
        """A judge with the same verdicts whose head contains temperature and threshold, so its decision is the argmax.

        A threshold moves the probabilities: 1/2 is where it was. A judge with neither is returned as it is.

        Raises:
            UsageError: See `acceptor.model.last_layer.with_scaled_logits`.
        """
        if self.decision == MOST_PROBABLE:
            return self
        from acceptor.model.last_layer import with_scaled_logits

        model = with_scaled_logits(self.model, divisor=self.decision.temperature, shift=self.decision.shift)
        return dataclasses.replace(self, model=model, decision=MOST_PROBABLE, baked=self.decision)

    def in_fp32(self) -> Judge:
        """This judge in fp32, for differences of margins that are smaller than bf16's rounding.

        An exported judge computes as it was exported.
        """
        if isinstance(self.model, OnnxModel) or self.runtime.precision == "fp32":
            return self
        return self.with_runtime(dataclasses.replace(self.runtime, precision="fp32"))

    def with_runtime(self, runtime: Runtime) -> Judge:
        """A copy with another runtime on the same device, which shares this one's scorers and their weights.

        An exported judge has scorers of its own, since they know the number of threads.
        """
        judge = dataclasses.replace(self, runtime=runtime)
        if not isinstance(self.model, OnnxModel):
            vars(judge)["_scorers"] = self._scorers  # to make one takes longer than a sentence
        return judge

    def verdicts(self, logits: Logits, encoded: Encoded | None = None) -> list[Verdict]:
        """Verdicts from logits of shape (N, labels); those on ``encoded`` inputs say which were not read whole."""
        ids, probabilities = self.decision.label_ids(logits), self.decision.probabilities(logits)
        read = np.zeros(len(logits), dtype=np.bool_)
        unknown, truncated = (read, read) if encoded is None else (encoded.has_unknown, encoded.truncated)
        return [
            Verdict(self.labels[label], float(row[label]), tuple(row.tolist()), tuple(scores.tolist()), *marks)
            for label, row, scores, *marks in zip(
                ids, probabilities, logits, unknown.tolist(), truncated.tolist(), strict=True
            )
        ]

    def columns(self, logits: Logits, *, all_scores: bool = True) -> pl.DataFrame:
        """The columns that every output has: verdict, its probability, and its margin.

        Args:
            logits: Shape (N, labels).
            all_scores: Also each label's probability and logit.
        """
        columns = judged_columns(logits, self.labels, self.decision)
        return columns if all_scores else columns[:, :3]

    @property
    def column_names(self) -> list[str]:
        """The names of `columns`, all scores too. No column of an input keeps one: it would pass for a new score."""
        return self.columns(np.zeros((0, len(self.labels)), dtype=np.float32)).columns

    def annotate(self, frame: Frame, *, columns: Mapping[str, str] | None = None, all_scores: bool = False) -> Frame:
        """A copy of a pandas or polars data frame with the columns that `predict` writes.

        Args:
            frame: The frame; it is not changed.
            columns: Role (``sentence``, ``second``) to column name, if the names are not known ones.
            all_scores: Also each label's probability and logit.

        Raises:
            DataError: No column is known to hold sentences, or a row, which is named with its index, lacks one.
        """

        def verdicts_on(sentences: list[str], seconds: list[str] | None, place: Callable[[int], str]) -> pl.DataFrame:
            cache = LogitsCache(self)
            inputs = cache.encode(sentences, seconds, place=place)
            warn_of_truncated(inputs.flags & TRUNCATED > 0, self.max_length, place)
            cache.add(inputs)
            return self.columns(cache.logits(inputs.slots), all_scores=all_scores)

        return annotated(frame, columns or {}, self.column_names, verdicts_on)

    def to_dict(self) -> dict[str, object]:
        """Labels, longest input, encoder, decision and machine."""
        return {**self.about(), "machine": self.runtime.to_dict()}

    def about(self) -> Json:
        """What ``judge.json`` says, without its format and the number of members."""
        about = {"labels": list(self.labels), "max_length": self.max_length, "encoder": self.encoder}
        about |= self.decision.to_dict() | {"selected_on": self.selected_on}
        more = {
            "inputs": self.inputs,
            "written": None if self.written is None else list(self.written),
            "baked": None if self.baked is None else self.baked.to_dict(),
        }
        return about | {name: value for name, value in more.items() if value is not None}

    @checked_types
    def save(self, folder: str | Path) -> None:
        """Writes the judge as a folder that `load` and Transformers read. The folder must not exist, or be empty.

        Raises:
            UsageError: It was exported; its file is complete by itself. Or ``folder`` has files.
            ResourceError: The disk is full, or ``folder`` cannot be written.
        """
        path = user_path(folder)
        check_new_folder(path)
        with new_folder(path) as scratch:
            self.write_files(scratch)

    def write_files(self, folder: Path) -> None:
        """Writes the judge's files into a folder that is being written, in the Hugging Face layout.

        Raises:
            UsageError: It was exported; its file is complete by itself.
        """
        if isinstance(self.model, OnnxModel):
            raise UsageError(
                "an exported judge has no run folder",
                next=f"copy its file: {self.model.where}",
                code="E-USAGE-JUDGE",
            )
        from acceptor.model.classifier import quiet_transformers
        from acceptor.model.ensemble import members_of

        models = members_of(self.model)
        members = len(models) if len(models) > 1 else None
        with quiet_transformers():
            for model, place in zip(models, member_folders(folder, members), strict=True):
                model.save_pretrained(place)
            for place in {folder, *member_folders(folder, members)}:
                self.tokenizer.save_pretrained(place)
        about = {"format": FORMAT, "members": members} if members else {}
        write_judge_file(folder, JudgeFile.new(self.about() | about))
        if self.trained_on is not None:
            write_fingerprints(folder, self.trained_on)


def check_new_folder(path: Path) -> None:
    """Refuses a folder that has files, or a file.

    Raises:
        UsageError: ``path`` is one.
        ResourceError: ``path`` cannot be read.
    """
    with explain_write_errors(path):
        taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
    if taken:
        raise UsageError(
            f"{path} exists",
            expected="a folder that does not exist, or is empty",
            next="choose another path, or remove it",
            code="E-USAGE-OUTPUT",
        )
