"""`train`: one training, from data to a run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.config import ENCODERS_OWN, Derived, ResolvedConfig, TrainConfig, safer, with_encoder
from acceptor.data.auditing.duplicates import fingerprints
from acceptor.data.corpora import paths_of
from acceptor.data.load import load_data
from acceptor.data.minimal_pairs import TOGETHER, count_pairs, pair_numbers
from acceptor.data.split import check_trainable, with_validation
from acceptor.data.table import Data, Split
from acceptor.errors import check_installed, checked_types
from acceptor.evaluation.calibration import calibrate
from acceptor.evaluation.evaluate import Report, blank_predictions
from acceptor.judging.decision import Logits
from acceptor.judging.judge import PAIRS, SENTENCES, Judge
from acceptor.model.batches import epoch_batches, padding_ratio
from acceptor.model.classifier import check_tokens, longest_input, new_classifier
from acceptor.model.coverage import check_coverage, warn_of_unknown_texts
from acceptor.model.encode import Encoded, encode
from acceptor.model.pretrained import Encoder, find_encoder
from acceptor.model.tokenizer import check_length, load_tokenizer
from acceptor.runs.checkpoint import has_checkpoint, newest
from acceptor.runs.fingerprints import read_fingerprints
from acceptor.runs.folder import in_set
from acceptor.runs.history import EpochLine, Line, as_dicts, lines_of
from acceptor.runs.out_path import (
    check_out,
    check_room,
    move_aside,
    refuse_undecodable,
    refuse_within,
    replacing,
    restarted,
)
from acceptor.runs.run_file import RunFile
from acceptor.runtime.device import Runtime, choose_device, choose_runtime, keep_freed_memory
from acceptor.runtime.processes import process_group, process_rank
from acceptor.storage.files import new_folder, user_path
from acceptor.storage.lock import one_writer
from acceptor.text import Json
from acceptor.training.advice import ADVICE, advice_for
from acceptor.training.collapse import CollapseError
from acceptor.training.defaults import resolve
from acceptor.training.record import log_derived, log_setup, run_file_of, trained_report, validation_of, write_run
from acceptor.training.resume import config_after_restart, data_and_config
from acceptor.training.session import OnEpoch, Request, run_loop
from acceptor.training.static import choose_static_steps

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training.

    Attributes:
        folder: The run folder.
        judge: The trained judge.
        reports: One report per judged split, by name: `validation`, and `test` if there is one.
        lines: The lines of ``history.jsonl``.
        file: The content of ``run.json``: config, derived values, data, versions, machine, timing.
        advice: What to change if validation does not show that something was learned; else None.
    """

    folder: Path
    judge: Judge
    reports: dict[str, Report]
    lines: list[Line]
    file: RunFile
    advice: str | None = None

    @functools.cached_property
    def history(self) -> list[Json]:
        """One dict per step and per epoch, as in ``history.jsonl``."""
        return as_dicts(self.lines)

    @functools.cached_property
    def record(self) -> Json:
        """The content of ``run.json``, as a dict."""
        return self.file.to_dict()

    @property
    def report(self) -> Report:
        """The validation report."""
        return self.reports["validation"]

    def __repr__(self) -> str:
        return f"Run({self.folder} · {self.report})"

    def to_dict(self) -> Json:
        """Reports, advice and record, for JSON."""
        reports = {name: report.to_dict() for name, report in self.reports.items()}
        return {"folder": str(self.folder), "reports": reports, "advice": self.advice, **self.record}


@checked_types
def train(
    data: Any,
    *,
    out: str | Path,
    encoder: str | Path | None = None,
    config: TrainConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    allow_change: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Fine-tunes an encoder on ``data`` and writes the run folder ``out``.

    A checkpoint is written to ``out`` after every epoch and about every minute, as long as that takes little of the
    time, and always on SIGINT and SIGTERM, so that a stopped training can be resumed. Under ``torchrun`` every process
    calls this; only the first one writes.

    Args:
        data: A `Data`, or anything that `load_data` accepts.
        out: The run folder to write.
        encoder: Short for ``config.encoder``.
        config: All settings; the defaults if None.
        overwrite: Replace an existing run at ``out``.
        resume: Resume from the newest complete checkpoint in ``out``, with the same data and settings.
        allow_change: When resuming, allow changes of the learning rate, the precision and the like.
        on_epoch: Called after every epoch with the lines of ``history.jsonl`` so far, one dict each; under ``torchrun``
            in every process. If it raises, a checkpoint is written and `train` raises that exception.

    Raises:
        UsageError: ``out`` exists, a setting does not fit the machine, or a setting was changed before resuming.
        DataError: The data cannot be read, or cannot be used for training.
        EncoderError: The encoder cannot be found or read.
        RunError: There is nothing to resume, or it is damaged, or another process is writing ``out``.
        ResourceError: The disk has too little space for the run, or ``out`` cannot be written.
        TrainingError: The loss became infinite or NaN; the judge collapsed to one verdict (`training.collapse`); or a
            signal stopped the training whose handler returned.
    """
    config = with_encoder(config, encoder)
    request = Request(user_path(out), config, overwrite, resume, allow_change, on_epoch)
    return _train_in_place(data, request)


def train_trial(data: Data, *, out: Path, config: TrainConfig, on_epoch: OnEpoch) -> Run:
    """Trains or resumes one trial of a search, like `train`, but marks the validation scores as selected.

    A search keeps the trial with the best validation score, so these scores are too good.

    Raises:
        AcceptorError: As `train`.
    """
    request = Request(out, config, resume=has_checkpoint(out), on_epoch=on_epoch, compared=True)
    return _train_in_place(data, request)


def check_trial(data: Data, config: ResolvedConfig) -> None:
    """Refuses settings that this machine or this encoder does not have; nothing is trained.

    Raises:
        UsageError: The device is missing; there are fewer layers than ``reinit_layers``, no head to keep, or no room
            for a text.
    """
    choose_device(config.device)
    _network(data, find_encoder(config.encoder), config)


def _train_in_place(data: Any, request: Request) -> Run:
    """Trains under the lock of the run folder; restarts once after a collapse if ``on_collapse`` is ``restart``."""
    check_installed("matplotlib", "sklearn", "jinja2")  # some are first needed when the training is done
    out, rank = request.out, process_rank()
    if os.path.islink(out) and os.path.isdir(out):  # to a larger disk: the run goes where its checkpoints are
        out = out.resolve()
        request = dataclasses.replace(request, out=out)
    if restarted() and has_checkpoint(out):
        request = dataclasses.replace(request, resume=True, overwrite=False)
    with (
        one_writer(out) if rank.is_main_process else contextlib.nullcontext(),
        replacing(out) if rank.is_main_process else contextlib.nullcontext(),
    ):
        check_out(out, overwrite=request.overwrite, resume=request.resume)
        if request.resume and request.config.on_collapse == "restart":
            request = dataclasses.replace(request, config=config_after_restart(out, request.config))
        try:
            return _train(data, request)
        except CollapseError as error:
            if request.config.on_collapse != "restart" or rank.world_size > 1:
                raise
            safe = safer(error.config).model_dump()
            changes = {name: value for name, value in safe.items() if value != getattr(error.config, name)}
            config = request.config.model_copy(update=changes)  # what was derived is derived again, with its reason
            again = f"restarting with safer settings and seed {config.seed}; a split cut from train differs with it"
            logger.warning("%s; %s", error.problem, again)
            shutil.rmtree(out, ignore_errors=True)  # it has only checkpoints
            second = dataclasses.replace(
                request, config=config, earlier=error.collapse, overwrite=False, resume=False, allow_change=False
            )
            return _train(data, second)


@checked_types
def resume(run: str | Path, *, changes: Mapping[str, Any] | None = None, allow_change: bool = False) -> Run:
    """Resumes a training that was stopped, with the data and settings that it was started with.

    Args:
        run: The run folder.
        changes: New values of settings, by name; see ``allow_change`` of `train`.
        allow_change: Allow the changes.

    Raises:
        UsageError: The run is finished; or its data were Python objects, which no checkpoint holds.
        RunError: There is nothing to resume, or it is damaged.
        AcceptorError: Whatever `load_data` and `train` raise.
    """
    folder = user_path(run)
    check_out(folder, overwrite=False, resume=True)
    data, config = data_and_config(folder, changes or {})
    return train(data, out=folder, config=config, resume=True, allow_change=allow_change)


def _train(data: Any, request: Request) -> Run:
    started, out, config = time.perf_counter(), request.out, request.config
    data = data if isinstance(data, Data) else load_data(data)
    data, split_reason = with_validation(data, config)
    check_trainable(data)
    for split in data.splits[1:]:
        blank_predictions(split)  # refuses names that would be taken twice
    runtime = _runtime(request)
    keep_freed_memory()
    found = find_encoder(config.encoder)
    config, chosen = resolve(config, found, data.train)
    if request.earlier:
        chosen.append(Derived("learning_rate", config.learning_rate, "a quarter, 2e-5 at most, after a collapse"))
    if pairs := count_pairs(data.train):
        chosen.append(Derived(TOGETHER, pairs, "by the column `pair`; the two sentences share a batch"))
    request = dataclasses.replace(request, derived=tuple(chosen))
    inputs: list[str | Path] = [found.folder, *paths_of(data)]
    refuse_within(out, inputs)
    refuse_undecodable(os.getcwd(), out, *inputs)
    static, choices = choose_static_steps(runtime, config)
    judge, encoded, derived = _prepare(data, found, config, runtime, static=static)
    weight_bytes = 4 * sum(p.numel() for p in judge.model.parameters())
    check_room(out, weight_bytes, keeps_best=config.select == "best")
    split = Derived("split", config.split or "derived", split_reason)
    derived = [*derived, *choices, *runtime.derived, split]
    if runtime.is_main_process:
        log_setup(data, judge, [*chosen, *derived])
        if request.overwrite:
            move_aside(out)
    prepared = time.perf_counter()
    with process_group(runtime):
        history, logits, chosen = run_loop(judge, data, encoded, config, request, static=static)
    epoch = lines_of(history, EpochLine)[-1]  # its seconds are those of all processes that trained, one after another
    seconds = {"prepare": prepared - started, "train": epoch.seconds}
    judge, reports, fitted = _reports(judge, data, encoded, config, logits, compared=request.compared)
    file = run_file_of(judge, data, config, [*chosen, *derived, *fitted], seconds, history)
    advice = advice_for(reports["validation"], epoch.train_loss, data.train, config, found, in_set=in_set(out))
    run = Run(out, judge, reports, history, file, advice)
    if runtime.is_main_process:
        if advice and not request.compared:  # a search tries such settings, too
            ADVICE.warning("%s", advice)
        with new_folder(out) as folder:
            write_run(folder, judge, reports, history, file, name=out.name)
    return run


def _runtime(request: Request) -> Runtime:
    """The device and the precision; a training that is resumed keeps the precision that was chosen at its start."""
    config, rank = request.config, process_rank()
    kept = newest(request.out).settings.precision if request.resume and config.precision is None else None
    runtime = choose_runtime(config.device, config.precision or kept, rank)
    as_before = Derived("precision", runtime.precision, "as at the start of this training")
    derived = [as_before if kept and item.name == "precision" else item for item in runtime.derived]
    return dataclasses.replace(runtime, derived=tuple(derived))


def _prepare(
    data: Data, encoder: Encoder, config: ResolvedConfig, runtime: Runtime, *, static: bool
) -> tuple[Judge, dict[str, Encoded], list[Derived]]:
    """The untrained judge, the token ids of every split, and the derived values."""
    model, tokenizer, limit = _network(data, encoder, config)
    model.to(runtime.device)
    encoded = {split.name: encode(tokenizer, split.sentences, split.seconds, max_length=limit) for split in data.splits}
    for split in data.splits:
        warn_of_unknown_texts(tokenizer, encoded[split.name], split)
    train = encoded["train"]
    check_coverage(train, encoder.name, data.train)
    longest = max(int(ids.lengths.max()) for ids in encoded.values())
    length = Derived("max_length", min(limit, longest), f"{train.truncation()} in train; the limit is {limit}")
    batches = epoch_batches(train.lengths, config, epoch=1, pairs=pair_numbers(data.train))
    ratio = padding_ratio(train.lengths, batches, static=limit if static else None)
    padding = Derived("padding", round(ratio, 4), f"positions computed for each token, {config.order} batches")
    trained_on, known = trained_on_by(encoder, data.train)
    inputs = SENTENCES if data.train.seconds is None else PAIRS
    judge = Judge(
        model,
        tokenizer,
        data.labels,
        limit,
        runtime,
        encoder.to_dict(),
        trained_on=trained_on,
        inputs=inputs,
        written=data.train.written,
    )
    return judge, encoded, [length, padding, *known]


def _network(data: Data, encoder: Encoder, config: ResolvedConfig) -> tuple[Any, Any, int]:
    """The untrained network, its tokenizer, and the longest input in tokens."""
    tokenizer = load_tokenizer(encoder.folder)
    model = new_classifier(
        encoder,
        data.labels,
        config.seed,
        keep_head=config.keep_head,
        reinit_layers=config.reinit_layers,
        dropout=None if config.dropout == ENCODERS_OWN else config.dropout,
    )
    check_tokens(tokenizer, model)
    limit = min(config.max_length, longest_input(model.config, tokenizer))
    check_length(tokenizer, limit, pairs=data.train.seconds is not None)
    return model, tokenizer, limit


def trained_on_by(encoder: Encoder, train: Split) -> tuple[npt.NDArray[np.uint64], list[Derived]]:
    """Fingerprints of all rows that the judge is trained on: train, and those its encoder was fine-tuned on before."""
    own, before = fingerprints(train), read_fingerprints(encoder.folder)
    if before is None:
        return own, []
    reason = f"rows that {encoder.name} was trained on before; reports count them as rows of train"
    return np.union1d(own, before), [Derived("learnt before", len(before), reason)]


def _reports(
    judge: Judge,
    data: Data,
    encoded: dict[str, Encoded],
    config: ResolvedConfig,
    known: Logits | None,
    *,
    compared: bool,
) -> tuple[Judge, dict[str, Report], list[Derived]]:
    """The trained judge with its decision, and its reports on validation and, if there is one, on test.

    ``known`` are the judge's validation logits, if the loop has computed them. ``compared``: see `Request`.
    """
    validation = validation_of(data)
    logits = {"validation": judge.logits_of(encoded["validation"]) if known is None else known}
    fitted: list[Derived] = []
    if config.calibrate is not False:
        threshold = config.calibrate is True
        decision, fitted = calibrate(logits["validation"], validation.gold, config.metric, threshold=threshold)
        judge = dataclasses.replace(judge, decision=decision)
        judge.recompute_close_verdicts(encoded["validation"], logits["validation"])  # others, if it has a threshold
        if judge.runtime.is_main_process:
            log_derived(fitted)
    if data.test is not None:
        logits["test"] = judge.logits_of(encoded["test"])
    selects = config.select == "best" or judge.decision.threshold is not None or compared
    if selects:
        judge = dataclasses.replace(judge, selected_on=validation.table.sha256)
    reports = {
        split.name: trained_report(
            split,
            logits[split.name],
            selected=selects and split is validation,
            decision=judge.decision,
            trained_on=judge.trained_on,
        )
        for split in data.splits
        if split.name in logits
    }
    return judge, reports, fitted
