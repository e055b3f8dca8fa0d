"""`Judge`: an encoder, its head, its tokenizer and its labels, from sentences to verdicts."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.batches import Rows, judging_batches, pad
from acceptor.data.duplicates import HASHES_FILE, load_fingerprints, save_fingerprints
from acceptor.data.frames import Frame, annotated, beside
from acceptor.data.table import Table
from acceptor.decision import MOST_PROBABLE, Decision, read_decision
from acceptor.encode import Encoded, encode, load_tokenizer
from acceptor.errors import DataError, RunError, UsageError, check_installed
from acceptor.files import MANIFEST, check_folder, check_manifest, file_sha256, read_object
from acceptor.model.onnx import OnnxModel, read_onnx
from acceptor.model.scorer import Scorer
from acceptor.progress import meter
from acceptor.runtime import Runtime, choose_runtime, keep_freed_memory, runtime_without_torch

JUDGE_FILE = "judge.json"
CLOSE_CALLS = 64  # inputs that are looked at again at once; fewer inputs than that are judged in fp32 alone
TOKENS, FEW_TOKENS = 2048, 256  # of a batch at most, so that it stays in a core's cache; of one among few inputs
SETTLED = 4.0  # a margin that many times the largest change seen is not close


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a judge makes of one sentence.

    Attributes:
        label: The label's name: the most probable one's, or what the judge's threshold says.
        probability: Its probability, in [0, 1].
        probabilities: All labels' probabilities, in label-id order; they sum to 1.
        logits: The raw scores, in label-id order.
    """

    label: str
    probability: float
    probabilities: tuple[float, ...]
    logits: tuple[float, ...]

    def __repr__(self) -> str:
        return f"Verdict({self.label!r}, {self.probability:.2f})"

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return {
            "label": self.label,
            "probability": self.probability,
            "probabilities": list(self.probabilities),
            "logits": list(self.logits),
        }


@dataclass(frozen=True, eq=False)
class Judge:
    """A fine-tuned classifier with all that it needs to read text. Made by `train` and `load`.

    Attributes:
        model: The Transformers classifier, or an `OnnxModel`.
        tokenizer: Its fast tokenizer: Transformers', or a `Tokenizer`.
        labels: Label names; a label's position is its label id.
        max_length: Longest input in tokens; longer ones are cut.
        runtime: Where it computes.
        encoder: Name, revision and hash of the encoder that it grew from.
        lossless: In bf16, look at close calls again in fp32, so that no label changes; without effect in fp32.
        decision: How its logits become probabilities and verdicts: temperature and threshold.
        trained_on: Fingerprints of the rows that it learnt from, uint64; None where they are not known.
        selected_on: The sha256 of the data that chose its checkpoint or decision; None where none did.
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

    def __repr__(self) -> str:
        return f"Judge({' / '.join(self.labels)} · {self.encoder['name']} on {self.runtime.device})"

    def __call__(self, sentences: Sequence[str], seconds: Sequence[str] | None = None) -> list[Verdict]:
        """One verdict for every sentence (or pair), in order.

        Raises:
            DataError: A single string, an empty or non-text sentence, or ``seconds`` of another length.
        """
        return self.verdicts(self.logits(sentences, seconds))

    def encode(self, sentences: Sequence[str], seconds: Sequence[str] | None = None) -> Encoded:
        """The sentences' ids, as this judge reads them."""
        _check_sentences(sentences)
        if seconds is not None:
            _check_sentences(seconds)
            if len(seconds) != len(sentences):
                raise DataError(
                    "sentences and seconds differ in number",
                    expected=f"{len(sentences)} seconds",
                    found=f"{len(seconds)}",
                )
        return encode(self.tokenizer, sentences, seconds, max_length=self.max_length)

    def logits(self, sentences: Sequence[str], seconds: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """Raw scores: float32, shape (N, labels), in the order of the sentences."""
        return self.logits_of(self.encode(sentences, seconds))

    def logits_of(self, encoded: Encoded, on_batch: Callable[[Rows], None] | None = None) -> npt.NDArray[np.float32]:
        """Raw scores of encoded inputs: float32, shape (N, labels). ``on_batch`` hears of each batch done.

        In bf16 a lossless judge settles close calls in fp32: inputs are judged again, closest call first, until the
        margin between the two best labels is `SETTLED` times the largest change that the second look has made.
        """
        everything = np.arange(len(encoded))
        lossless = self.lossless and self.runtime.precision != "fp32"
        if lossless and len(encoded) <= CLOSE_CALLS:
            return self._pass(encoded, everything, "fp32", on_batch)
        scores = self._pass(encoded, everything, self.runtime.precision, on_batch)
        if not lossless:
            return scores
        margins = self.decision.margins(scores)
        closest_first = np.argsort(margins, kind="stable")
        largest_change = 0.0
        for start in range(0, len(closest_first), CLOSE_CALLS):
            rows = closest_first[start : start + CLOSE_CALLS]
            if start and margins[rows[0]] > SETTLED * largest_change:
                break
            settled = self._pass(encoded, rows, "fp32")
            changes = settled - scores[rows]
            largest_change = max(largest_change, float(np.ptp(changes, axis=1).max()))
            scores[rows] = settled
        return scores

    @functools.cached_property
    def _scorers(self) -> dict[str, Scorer]:
        """What computes, by precision; made when it is first needed."""
        return {}

    def scorer(self, precision: str) -> Scorer:
        """What scores padded batches in that precision."""
        if precision not in self._scorers:
            self._scorers[precision] = self._new_scorer(precision)
        return self._scorers[precision]

    def _new_scorer(self, precision: str) -> Scorer:
        if isinstance(self.model, OnnxModel):
            return self.model.scorer(self.runtime.threads)
        from acceptor.model.network import torch_scorer

        return torch_scorer(self.model, precision=precision, device=self.runtime.device)

    def _pass(
        self, encoded: Encoded, rows: Rows, precision: str, on_batch: Callable[[Rows], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Raw scores of some inputs, float32, shape (len(rows), labels)."""
        scorer = self.scorer(precision)
        scores = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        lengths, cores = encoded.lengths[rows], scorer.cores()
        # Few inputs are cut smaller, so that no core waits long for the last batch of another.
        budget = TOKENS if cores == 1 else min(TOKENS, max(FEW_TOKENS, int(lengths.sum()) // (4 * cores)))

        def judge(at: Rows) -> None:
            scores[at] = scorer.score(pad(encoded, rows[at], self.tokenizer.pad_token_id))
            if on_batch:
                on_batch(rows[at])

        scorer.each(judge, judging_batches(lengths, budget))
        return scores

    def in_fp32(self) -> Judge:
        """This judge with fp32 products, for differences of margins that are smaller than bf16's steps.

        An exported judge computes as it was exported.
        """
        if isinstance(self.model, OnnxModel):
            return self
        return dataclasses.replace(self, runtime=dataclasses.replace(self.runtime, precision="fp32"))

    def verdicts(self, logits: npt.NDArray[np.float32]) -> list[Verdict]:
        """Verdicts from logits of shape (N, labels)."""
        ids, probabilities = self.decision.label_ids(logits), self.decision.probabilities(logits)
        return [
            Verdict(self.labels[label], float(row[label]), tuple(row.tolist()), tuple(scores.tolist()))
            for label, row, scores in zip(ids, probabilities, logits, strict=True)
        ]

    def columns(self, logits: npt.NDArray[np.float32]) -> pl.DataFrame:
        """`verdict_columns`, and in third place the margin: how far the verdict is from another one, in logits."""
        columns = verdict_columns(logits, self.labels, self.decision)
        return columns.insert_column(2, pl.Series("margin", self.decision.margins(logits)))

    def annotate(self, frame: Frame, *, columns: Mapping[str, str] | None = None, all_scores: bool = False) -> Frame:
        """A pandas or polars data frame, kept as it is, and beside it what `acceptor predict` writes: see docs/api.md.

        Raises:
            DataError: No column is known to hold sentences, or a row, which is named with its index, lacks one.
        """

        def verdicts_on(sentences: list[str], seconds: list[str] | None) -> pl.DataFrame:
            columns = self.columns(self.logits(sentences, seconds))
            return columns if all_scores else columns[:, :3]

        return annotated(frame, columns or {}, verdicts_on)

    def to_dict(self) -> dict[str, Any]:
        """Labels, longest input, encoder, decision and machine."""
        return {**self.about(), "machine": self.runtime.to_dict()}

    def about(self) -> dict[str, Any]:
        """What ``judge.json`` says."""
        about = {"labels": list(self.labels), "max_length": self.max_length, "encoder": self.encoder}
        return about | self.decision.to_dict() | {"selected_on": self.selected_on}

    def save(self, folder: Path) -> None:
        """Writes the judge into ``folder`` in the Hugging Face layout, with `judge.json` beside it.

        Raises:
            UsageError: It was exported: its file is all there is.
        """
        if isinstance(self.model, OnnxModel):
            raise UsageError("an exported judge has no run folder", next=f"copy its file: {self.model.where}")
        from acceptor.model.classifier import quiet_transformers

        with quiet_transformers():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        (folder / JUDGE_FILE).write_text(json.dumps(self.about(), indent=2, ensure_ascii=False) + "\n", "utf-8")
        if self.trained_on is not None:
            save_fingerprints(folder, self.trained_on)


def load(run: str | Path, *, device: str | None = None, precision: str | None = None) -> Judge:
    """The judge in a run folder, in evaluation mode; or the one in an ONNX file, which needs no torch.

    Args:
        run: The folder; or a file that `export` wrote, whose name ends in ``.onnx``.
        device: ``cuda``, ``mps`` or ``cpu``; the fastest present where None.
        precision: ``fp32``; ``bf16``; ``int8``, where the CPU has AVX-512 VNNI: the fastest, and some labels change;
            ``lossless``, or None: bf16 where that is fast, and close calls again in fp32. An exported judge has one.

    Raises:
        RunError: The folder is missing, is not a finished run, or its files are not what was written; likewise a file.
        EncoderError: Its weights, config or tokenizer cannot be read.
        UsageError: The device or precision asked for is not there.
    """
    folder = Path(run).expanduser()
    if folder.suffix == ".onnx":
        return _load_onnx(folder, device, precision)
    check_installed("torch", "transformers")
    from acceptor.model.classifier import check_tokens, load_classifier, longest_input

    check_folder(folder)
    try:
        labels, max_length, encoder, decision, selected_on = _checked(read_object(folder / JUDGE_FILE))
    except (FileNotFoundError, NotADirectoryError):
        found = "no such folder" if not folder.is_dir() else "a folder without it"
        raise RunError(
            f"{run} is not a run",
            expected=f"a folder that holds {JUDGE_FILE}",
            found=found,
            cause="a wrong path, or a training that did not finish",
            next="list your runs: ls -d runs/*, or train one: acceptor train DATA --out RUN",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{JUDGE_FILE} cannot be read", where=str(folder / JUDGE_FILE), cause=str(error)) from error
    needed = (JUDGE_FILE, "config.json", "model.safetensors")
    check_manifest(folder, among=(*needed, "tokenizer", HASHES_FILE), needed=needed)
    runtime = choose_runtime(device, {"lossless": None, "int8": "fp32"}.get(precision or "", precision))
    keep_freed_memory()
    model, tokenizer = load_classifier(folder, labels).to(runtime.device), load_tokenizer(folder)
    check_tokens(tokenizer, model)
    longest = longest_input(model.config, tokenizer)
    if max_length > longest:
        raise RunError(
            f"{JUDGE_FILE} allows longer inputs than the encoder has positions for",
            where=str(folder / JUDGE_FILE),
            expected=f"max_length of at most {longest}",
            found=str(max_length),
        )
    if precision == "int8":
        runtime = _in_int8(runtime, model)
    lossless, trained_on = precision not in ("bf16", "int8"), load_fingerprints(folder)
    return Judge(model, tokenizer, labels, max_length, runtime, encoder, lossless, decision, trained_on, selected_on)


def _load_onnx(path: Path, device: str | None, precision: str | None) -> Judge:
    file = read_onnx(path)
    try:
        labels, max_length, encoder, decision, selected_on = _checked(file.about)
        made_in = {"fp32": "fp32", "int8": "int8"}[file.about["precision"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError("what the file says of its judge cannot be read", where=str(path), cause=str(error)) from error
    if device not in (None, "cpu") or precision not in (None, made_in):
        raise UsageError(
            f"{path.name} computes in {made_in} on a CPU",
            found=f"device {device or 'not given'}, precision {precision or 'not given'}",
            next="leave --device and --precision out, or judge with the run that it was made from",
        )
    runtime = runtime_without_torch(made_in)
    return Judge(
        file.model, file.tokenizer, labels, max_length, runtime, encoder, False, decision, file.trained_on, selected_on
    )


def files_of(run: Path) -> dict[str, str]:
    """The files that decide about verdicts, with the sha256 of each.

    Args:
        run: As for `load`, which has read it before.
    """
    if run.suffix == ".onnx":
        return {"judge.onnx": file_sha256(run)}  # whatever it is called
    names = (JUDGE_FILE, "config.json", "model.safetensors", "tokenizer")
    files = read_object(run / MANIFEST)["files"]
    return {name: sha256 for name, sha256 in files.items() if name.startswith(names)}


def _in_int8(runtime: Runtime, model: Any) -> Runtime:
    from acceptor.model.network import has_whole_layers

    if not has_whole_layers(model, "int8"):
        raise UsageError(
            "int8 is not to be had here",
            expected="a CPU with AVX-512 VNNI, a C compiler, and an encoder such as BERT, RoBERTa, MPNet or DistilBERT",
            found=f"{model.config.model_type} on {runtime.device}, {runtime.device_name}",
            next="leave --precision out; `acceptor doctor` says what this machine is good at",
        )
    return dataclasses.replace(runtime, precision="int8")


def _checked(about: dict[str, Any]) -> tuple[tuple[str, ...], int, dict[str, Any], Decision, str | None]:
    """Labels, longest input, encoder, decision and what chose it, from a ``judge.json`` that nobody vouches for."""
    labels, max_length, encoder = about["labels"], about["max_length"], about["encoder"]
    if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels are not two names or more")
    if len(set(labels)) < len(labels):
        raise ValueError("a label appears twice")
    if type(max_length) is not int or max_length < 1:
        raise ValueError("max_length is not a number of tokens")
    if not isinstance(encoder, dict) or not isinstance(encoder.get("name"), str):
        raise ValueError("encoder has no name")
    selected_on = about.get("selected_on")
    if selected_on is not None and not isinstance(selected_on, str):
        raise ValueError("selected_on is not a sha256")
    return tuple(labels), max_length, encoder, read_decision(about, len(labels)), selected_on


def annotate(judge: Judge, table: Table) -> pl.DataFrame:
    """The table with the judge's verdicts beside every row: see `verdict_columns`."""
    frame = table.frame
    seconds = frame["second"].to_list() if "second" in frame.columns else None
    encoded = judge.encode(frame["sentence"].to_list(), seconds)
    with meter("judging", len(encoded), "sentences") as bar:
        logits = judge.logits_of(encoded, lambda rows: bar.advance(len(rows)))
    return beside(frame, verdict_columns(logits, judge.labels, judge.decision))


def verdict_columns(logits: npt.NDArray[np.float32], labels: tuple[str, ...], decision: Decision) -> pl.DataFrame:
    """Logits of shape (N, labels) as columns: verdict, its probability, each label's probability and logit."""
    probabilities, verdicts = decision.probabilities(logits), decision.label_ids(logits)
    columns: dict[str, Any] = {
        "verdict": pl.Series([labels[index] for index in verdicts], dtype=pl.String),  # also without rows
        "probability": probabilities[np.arange(len(logits)), verdicts],
    }
    for index, label in enumerate(labels):
        columns[f"p({label})"] = probabilities[:, index]
    for index, label in enumerate(labels):
        columns[f"logit({label})"] = logits[:, index]
    return pl.DataFrame(columns)


def _check_sentences(sentences: Sequence[str]) -> None:
    if isinstance(sentences, str):
        raise DataError(
            "a single string was given",
            expected="a list of sentences",
            next='put it in a list: judge(["' + sentences[:40] + '"])',
        )
    for row, sentence in enumerate(sentences):
        if not isinstance(sentence, str) or not sentence.strip():
            raise DataError(
                "not a sentence",
                where=f"position {row}",
                expected="text that is not blank",
                found=repr(sentence)[:60],
            )
