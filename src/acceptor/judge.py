"""`Judge`: an encoder, its head, its tokenizer and its labels, from sentences to verdicts."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.batches import Rows, collate, judging_batches
from acceptor.data.duplicates import HASHES_FILE, load_fingerprints, save_fingerprints
from acceptor.data.frames import Frame, annotated, moved
from acceptor.data.table import Table
from acceptor.decision import MOST_PROBABLE, Decision, read_decision
from acceptor.encode import Encoded, encode, load_tokenizer
from acceptor.errors import DataError, RunError, UsageError
from acceptor.files import check_folder, check_manifest, read_object
from acceptor.model.classifier import check_tokens, load_classifier, longest_input, quiet_transformers
from acceptor.model.network import has_whole_layers, judging_network
from acceptor.progress import meter
from acceptor.runtime import Runtime, choose_runtime, keep_freed_memory

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
        model: The Transformers classifier.
        tokenizer: Its fast tokenizer.
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
    def _networks(self) -> dict[str, Any]:
        """What computes, by precision; made when it is first needed."""
        return {}

    def _pass(
        self, encoded: Encoded, rows: Rows, precision: str, on_batch: Callable[[Rows], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Raw scores of some inputs, float32, shape (len(rows), labels).

        Several threads with one core each judge a batch each: products this small are slower when cores share one.
        """
        import torch

        if precision not in self._networks:
            self._networks[precision] = judging_network(self.model, precision=precision)
        network = self._networks[precision]
        scores = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        cores = torch.get_num_threads() if self.runtime.device == "cpu" else 1
        lengths = encoded.lengths[rows]
        # Few inputs are cut smaller, so that no core waits long for the last batch of another.
        budget = TOKENS if cores == 1 else min(TOKENS, max(FEW_TOKENS, int(lengths.sum()) // (4 * cores)))
        batches = judging_batches(lengths, budget)

        def judge(at: Rows) -> None:
            with torch.inference_mode():
                batch = collate(encoded, rows[at], self.tokenizer.pad_token_id, self.runtime.device)
                scores[at] = network(**batch.inputs).logits.float().cpu().numpy()
            if on_batch:
                on_batch(rows[at])

        if min(cores, len(batches)) < 2:
            for at in batches:
                judge(at)
            return scores
        with ThreadPoolExecutor(min(cores, len(batches)), initializer=torch.set_num_threads, initargs=(1,)) as threads:
            for _ in threads.map(judge, reversed(batches)):  # the longest first, so that none is left for the end
                pass
        torch.set_num_threads(cores)
        return scores

    def in_fp32(self) -> Judge:
        """This judge with fp32 products, for differences of margins that are smaller than bf16's steps."""
        return dataclasses.replace(self, runtime=dataclasses.replace(self.runtime, precision="fp32"))

    def verdicts(self, logits: npt.NDArray[np.float32]) -> list[Verdict]:
        """Verdicts from logits of shape (N, labels)."""
        ids, probabilities = self.decision.label_ids(logits), self.decision.probabilities(logits)
        return [
            Verdict(self.labels[label], float(row[label]), tuple(row.tolist()), tuple(scores.tolist()))
            for label, row, scores in zip(ids, probabilities, logits, strict=True)
        ]

    def annotate(self, frame: Frame, *, columns: Mapping[str, str] | None = None, all_scores: bool = False) -> Frame:
        """A pandas or polars data frame, kept as it is, and beside it what `acceptor predict` writes.

        ``columns`` as for `load_data`; ``all_scores``: also each label's probability and logit. Raises `DataError`
        where no column is known to hold sentences, or a row lacks one.
        """

        def verdicts_on(sentences: list[str], seconds: list[str] | None) -> pl.DataFrame:
            judged = judged_columns(self.logits(sentences, seconds), self)
            return judged if all_scores else judged.select("verdict", "probability", "margin")

        return annotated(frame, columns or {}, verdicts_on)

    def to_dict(self) -> dict[str, Any]:
        """Labels, longest input, encoder, decision and machine."""
        return {**self._about(), "machine": self.runtime.to_dict()}

    def _about(self) -> dict[str, Any]:
        about = {"labels": list(self.labels), "max_length": self.max_length, "encoder": self.encoder}
        return about | self.decision.to_dict() | {"selected_on": self.selected_on}

    def save(self, folder: Path) -> None:
        """Writes the judge into ``folder`` in the Hugging Face layout, with `judge.json` beside it."""
        with quiet_transformers():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        (folder / JUDGE_FILE).write_text(json.dumps(self._about(), indent=2, ensure_ascii=False) + "\n", "utf-8")
        if self.trained_on is not None:
            save_fingerprints(folder, self.trained_on)


def load(run: str | Path, *, device: str | None = None, precision: str | None = None) -> Judge:
    """The judge in a run folder, in evaluation mode.

    Args:
        run: The folder.
        device: ``cuda``, ``mps`` or ``cpu``; the fastest present where None.
        precision: ``fp32``; ``bf16``; ``int8``, where the CPU has AVX-512 VNNI: the fastest, and some labels change;
            ``lossless``, or None: bf16 where that is fast, and close calls again in fp32.

    Raises:
        RunError: The folder is missing, is not a finished run, or its files are not what was written.
        EncoderError: Its weights, config or tokenizer cannot be read.
        UsageError: The device or precision asked for is not there.
    """
    folder = Path(run).expanduser()
    check_folder(folder)
    try:
        labels, max_length, encoder, decision, selected_on = _read_judge(folder / JUDGE_FILE)
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


def _in_int8(runtime: Runtime, model: Any) -> Runtime:
    if not has_whole_layers(model, "int8"):
        raise UsageError(
            "int8 is not to be had here",
            expected="a CPU with AVX-512 VNNI, a C compiler, and an encoder such as BERT, RoBERTa, MPNet or DistilBERT",
            found=f"{model.config.model_type} on {runtime.device}, {runtime.device_name}",
            next="leave --precision out; `acceptor doctor` says what this machine is good at",
        )
    return dataclasses.replace(runtime, precision="int8")


def _read_judge(path: Path) -> tuple[tuple[str, ...], int, dict[str, Any], Decision, str | None]:
    """Labels, longest input, encoder, decision and what chose it, from a ``judge.json`` that nobody vouches for."""
    about = read_object(path)
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
        "verdict": [labels[index] for index in verdicts],
        "probability": probabilities[np.arange(len(logits)), verdicts],
    }
    for index, label in enumerate(labels):
        columns[f"p({label})"] = probabilities[:, index]
    for index, label in enumerate(labels):
        columns[f"logit({label})"] = logits[:, index]
    return pl.DataFrame(columns)


def judged_columns(logits: npt.NDArray[np.float32], judge: Judge) -> pl.DataFrame:
    """`verdict_columns`, and the margin: how far the verdict is from another one, in logits."""
    columns = verdict_columns(logits, judge.labels, judge.decision).with_columns(
        pl.col("verdict").cast(pl.String)
    )  # also without rows
    return columns.insert_column(2, pl.Series("margin", judge.decision.margins(logits)))


def beside(frame: pl.DataFrame, *more: pl.DataFrame) -> pl.DataFrame:
    """The frames side by side. A column of ``frame`` whose name is taken by a later one is called ``input.NAME``."""
    taken = [name for other in more for name in other.columns]
    return pl.concat([frame.rename(moved(frame.columns, taken)), *more], how="horizontal")


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
