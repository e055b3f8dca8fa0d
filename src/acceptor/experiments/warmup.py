"""`warm_up`: trains an encoder on raw text, without labels, before it is fine-tuned.

The encoder learns to tell natural sentences from corrupted ones (`acceptor.data.corruptions`). It is an ordinary
training on a corpus that is made here: the result is a run folder, a stopped one resumes, and fine-tuning takes the
folder as its encoder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from acceptor.config import TrainConfig, with_encoder
from acceptor.data.corruptions import Corruptor
from acceptor.data.load import load_data
from acceptor.data.raw_text import FEWEST, RawText, in_held_out, listed_paths, read_raw_text
from acceptor.data.split import with_validation
from acceptor.data.table import Data, Split, Table
from acceptor.errors import DataError, UsageError, checked_types
from acceptor.experiments.run_set import is_finished_run
from acceptor.model.pretrained import find_encoder
from acceptor.runs.checkpoint import has_checkpoint
from acceptor.runs.out_path import refuse_within
from acceptor.runtime.processes import refuse_torchrun
from acceptor.storage.files import user_path
from acceptor.training.defaults import FEWEST_EPOCHS, resolve
from acceptor.training.train import train

logger = logging.getLogger(__name__)

LABELS = ("corrupted", "natural")
HELD_OUT, MOST_HELD_OUT = 0.02, 1_000  # share and number of sentences to validate on


@checked_types
def warm_up(
    text: str | Path | Sequence[str | Path],
    *,
    data: Any,
    out: str | Path,
    encoder: str | Path | None = None,
    config: TrainConfig | None = None,
    overwrite: bool = False,
) -> Path:
    """Trains an encoder to tell natural sentences from corrupted ones. The same call resumes after a stop.

    Args:
        text: Files of natural sentences in the language of ``data``, one a line.
        data: The corpus that is fine-tuned on later: a `Data`, or anything that `load_data` accepts. The text must not
            contain its validation or test sentences.
        out: The folder to write; give it to `train` as its encoder. It is itself a run: a judge of corruptions.
        encoder: Short for ``config.encoder``.
        config: Settings of this stage; by default the usual ones, and one epoch if the text is long.
        overwrite: Replace a run at ``out`` that has other data or settings. One with the same is used as it is.

    Returns:
        ``out``.

    Raises:
        DataError, UsageError: As `read_raw_text`; or ``out`` has a run with other data or settings.
        AcceptorError: As `train`.
    """
    refuse_torchrun()
    config = with_encoder(config, encoder)
    out, files = user_path(out), listed_paths(text, "one or more files of natural sentences")
    refuse_within(out, files)
    corpus = data if isinstance(data, Data) else load_data(data)
    corpus, _ = with_validation(corpus, config)
    found = warmup_data(read_raw_text(files, corpus), corpus, seed=config.seed)
    start = find_encoder(config.encoder)
    usual, _ = resolve(config, start, found.train)
    once = config.epochs is None and usual.epochs == FEWEST_EPOCHS  # a long text is read once
    usual = usual.model_copy(update={"epochs": 1 if once else usual.epochs, "split": "given"})
    try:
        if is_finished_run(out, usual, start, found):
            logger.info("%s is finished and is used as it is", out)
            return out
    except UsageError:  # of other data or settings
        if not overwrite:
            raise
    train(found, out=out, config=usual, overwrite=overwrite, resume=not overwrite and has_checkpoint(out))
    return out


def warmup_data(text: RawText, corpus: Data, *, seed: int) -> Data:
    """Every sentence of a text, and a corruption of it, with labels; both go to the same split.

    Sentences are left out whose corruption the validation or test split of the corpus has.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    corruptor = Corruptor(text.sentences)
    pairs = [(one, other) for one in text.sentences if (other := corruptor.corrupt(one, rng)) is not None]
    held_out = in_held_out([other for _, other in pairs], corpus)
    pairs = [pair for pair, known in zip(pairs, held_out, strict=True) if not known]
    if len(pairs) < FEWEST:
        raise DataError(
            "too few sentences of the raw text can be corrupted",
            where=", ".join(text.sha256),
            expected=f"{FEWEST} at least, of two words or more, in a script with spaces between words or in Chinese or "
            "Japanese",
            found=f"{len(pairs)} of {len(text.sentences)}",
            code="E-DATA-SPLIT",
        )
    rng.shuffle(pairs)
    judged = max(1, min(MOST_HELD_OUT, round(HELD_OUT * len(pairs))))
    return Data(_split("train", pairs[judged:], text), _split("validation", pairs[:judged], text))


def _split(name: str, pairs: list[tuple[str, str]], text: RawText) -> Split:
    sentences = [sentence for pair in pairs for sentence in pair]
    label_ids = np.tile(np.array([1, 0], dtype=np.int64), len(pairs))
    frame = pl.DataFrame({"sentence": sentences, "label": [LABELS[index] for index in label_ids]})
    digest = hashlib.sha256(json.dumps([sorted(text.sha256.values()), sentences]).encode()).hexdigest()
    origin = f"{', '.join(text.sha256)}, natural and corrupted"
    lines = np.arange(1, len(sentences) + 1, dtype=np.int64)
    return Split(name, Table(frame, lines, origin, digest, "sentence, label", "row"), LABELS, label_ids)
