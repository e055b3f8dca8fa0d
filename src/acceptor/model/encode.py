"""Encodes text to token ids, for training, evaluation, prediction and export.

The result is ragged: `batches` pads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.word_counts import holds_unspaced
from acceptor.model.tokenizer import check_length, tokenizer_info

CHUNK = 10_000  # sentences per call of the tokenizer: enough for all cores, little memory


@dataclass(frozen=True, eq=False)
class Encoded:
    """Token ids of N inputs, end to end.

    Attributes:
        ids: int32, shape (tokens,): all inputs' ids, special tokens included.
        type_ids: int8, shape (tokens,): 0 in the first sentence, 1 in the second; None for single
            sentences and for encoders that take no token types.
        offsets: int64, shape (N + 1,): input i is ``ids[offsets[i]:offsets[i + 1]]``.
        cut: int32, shape (N,): how many tokens truncation took from each input.
        unknown: int64, shape (N,): how many of an input's tokens are unknown; None if not counted.
        text: int64, shape (N,): how many of its tokens are text, unknown ones included; None if not counted.
    """

    ids: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int8] | None
    offsets: npt.NDArray[np.int64]
    cut: npt.NDArray[np.int32]
    unknown: npt.NDArray[np.int64] | None = None
    text: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens per input, shape (N,)."""
        return np.diff(self.offsets)

    @property
    def truncated(self) -> npt.NDArray[np.bool_]:
        """True for inputs that were longer than the longest one allowed, bool, shape (N,)."""
        return self.cut > 0

    @property
    def has_unknown(self) -> npt.NDArray[np.bool_]:
        """True for inputs with an unknown token, bool, shape (N,)."""
        return np.zeros(len(self), dtype=np.bool_) if self.unknown is None else self.unknown > 0

    @property
    def all_unknown(self) -> npt.NDArray[np.bool_]:
        """True for inputs without any known token of text, bool, shape (N,)."""
        if self.unknown is None or self.text is None:
            return np.zeros(len(self), dtype=np.bool_)
        return self.text <= self.unknown

    def unknown_share(self) -> float:
        """The share of unknown tokens among the tokens of text."""
        if self.unknown is None or self.text is None:
            return 0.0
        return float(self.unknown.sum() / max(1, self.text.sum()))

    def truncation(self) -> str:
        """One line that says how many inputs were cut and by how much."""
        rows = int(self.truncated.sum())
        if rows == 0:
            return f"no input was cut (longest {int(self.lengths.max(initial=0))} tokens)"
        cut = self.cut[self.truncated]
        share = f"{rows / len(self):.1%}"
        return f"{rows} of {len(self)} inputs cut ({share}), by {cut.mean():.1f} tokens on average, {cut.max()} at most"


def encode(
    tokenizer: Any, sentences: Sequence[str], seconds: Sequence[str] | None = None, *, max_length: int
) -> Encoded:
    """Ids of every sentence (or pair) with special tokens, truncated to ``max_length``.

    Pairs are truncated on their longer side first. The tokenizer is not changed, so any thread may encode at any time.

    Args:
        tokenizer: From `load_tokenizer`.
        sentences: N texts, unpadded, untouched.
        seconds: The N second sentences of a pair task.
        max_length: Longest input in tokens, special tokens included; `check_length` checks it.
    """
    info, pairs = tokenizer_info(tokenizer), seconds is not None
    with_types = pairs and "token_type_ids" in tokenizer.model_input_names
    ids: list[npt.NDArray[np.int32]] = []
    types: list[npt.NDArray[np.int8]] = []
    lengths: list[int] = []
    cut = np.zeros(len(sentences), dtype=np.int32)
    for start in range(0, len(sentences), CHUNK):
        texts: list[Any] = list(sentences[start : start + CHUNK])
        if seconds is not None:
            texts = list(zip(texts, seconds[start : start + CHUNK], strict=True))
        for row, encoding in enumerate(info.backend.encode_batch_fast(texts), start):
            own = np.array(encoding.ids, dtype=np.int32)
            kept: Any = slice(None)
            if len(own) > max_length:
                kept = _truncated(encoding, max_length)
                cut[row] = len(own) - len(kept)
            ids.append(own[kept])
            lengths.append(len(ids[-1]))
            if with_types:
                types.append(np.array(encoding.type_ids, dtype=np.int8)[kept])
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    flat = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
    unknown = _count(flat == info.unknown, offsets)
    text = np.diff(offsets) - info.added[pairs] - _count(flat == info.word_start, offsets)
    return Encoded(flat, np.concatenate(types) if types else None, offsets, cut, unknown, text)


def _truncated(encoding: Any, max_length: int) -> npt.NDArray[np.int64]:
    """The indices of the tokens to keep of a too long input, int64: all special tokens, and the first of each text.

    Of two texts the longer one is truncated first; if both are too long, each keeps half. This is the strategy "longest
    first" of tokenizers, whose own truncation would change a tokenizer that other threads use.
    """
    sides = np.array([-1 if side is None else side for side in encoding.sequence_ids])
    sides[np.array(encoding.special_tokens_mask, dtype=bool)] = -1
    places = [np.flatnonzero(sides == side) for side in (0, 1)]
    room = max(0, max_length - int((sides < 0).sum()))
    short, long = sorted(map(len, places))
    if short + long > room:
        long = short if short > room else max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    first, second = (short, long) if len(places[0]) <= len(places[1]) else (long, short)
    if not len(places[1]):
        first = min(len(places[0]), room)
    return np.sort(np.concatenate([np.flatnonzero(sides < 0), places[0][:first], places[1][:second]]))


def _count(flags: Any, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The number of flagged tokens of each input, int64, shape (N,)."""
    if np.ndim(flags) == 0:  # the result of a comparison with None
        return np.zeros(len(offsets) - 1, dtype=np.int64)
    before = np.concatenate([[0], np.cumsum(flags, dtype=np.int64)]).astype(np.int64)
    return np.diff(before[offsets])


def rows_with_special_tokens(
    tokenizer: Any, sentences: Sequence[str], seconds: Sequence[str] | None = None
) -> npt.NDArray[np.int64]:
    """The rows, int64, whose text contains special tokens such as ``[CLS]`` or ``</s>``, which are encoded as text."""
    special_tokens = list(tokenizer_info(tokenizer).special_tokens)
    found = [
        pl.Series(texts, dtype=pl.String).str.contains_any(special_tokens) for texts in (sentences, seconds) if texts
    ]
    return np.flatnonzero(np.any([one.to_numpy() for one in found], axis=0)) if found else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Words:
    """One input's tokens and the words they belong to.

    Attributes:
        ids: int32, shape (L,): the ids of `encode`, special tokens included.
        owners: int64, shape (L,): for each token the index of its word, -1 for special tokens.
        words: The words as they are written in the sentence, in its order.
    """

    ids: npt.NDArray[np.int32]
    owners: npt.NDArray[np.int64]
    words: tuple[str, ...]


def encode_words(tokenizer: Any, sentences: Sequence[str], *, max_length: int) -> list[Words]:
    """The ids of `encode` with their words, as the pre-tokenizer splits them.

    In scripts without spaces it may leave a whole sentence as one word; there every token is a word, unless it is only
    a part of a character. Words beyond ``max_length`` are left out.
    """
    encodings = tokenizer_info(tokenizer).backend.encode_batch(list(sentences))
    return [_words(sentence, one, max_length) for sentence, one in zip(sentences, encodings, strict=True)]


def _words(sentence: str, encoding: Any, max_length: int) -> Words:
    owners: list[int] = []
    spans: list[tuple[int, int]] = []
    number: dict[Any, int] = {}
    last = -1  # the latest token that is a word
    kept = [*range(len(encoding))] if len(encoding) <= max_length else _truncated(encoding, max_length).tolist()
    added, words_of, places = encoding.special_tokens_mask, encoding.word_ids, encoding.offsets
    alone = holds_unspaced(pl.Series([sentence[start:end] for start, end in places], dtype=pl.String))
    for at in kept:
        word, (start, end) = words_of[at], places[at]
        if added[at]:
            owners.append(-1)
            continue
        last = at if word is None or alone[at] else last  # no pre-tokenizer: each token is a word
        key = (last, None if last == at else word)
        if spans and (start < spans[-1][1] or not sentence[slice(*spans[-1])].strip()):
            number[key] = len(spans) - 1  # a part of the same character; or what is before is only a blank
        if key not in number:
            number[key] = len(spans)
            spans.append((start, end))
        owner = number[key]
        spans[owner] = (min(start, spans[owner][0]), max(end, spans[owner][1]))
        owners.append(owner)
    words = tuple(sentence[start:end].strip() for start, end in spans)
    return Words(np.array(encoding.ids, dtype=np.int32)[kept], np.array(owners, dtype=np.int64), words)


def concatenate_ids(ids: Sequence[npt.NDArray[np.int32]]) -> Encoded:
    """The ids of single sentences as one ragged array, without truncation."""
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in ids], dtype=np.int64)]).astype(np.int64)
    flat = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
    return Encoded(flat, None, offsets, np.zeros(len(ids), dtype=np.int32))


def token_report(
    tokenizer: Any, sentences: Sequence[str], seconds: Sequence[str] | None = None, *, max_length: int
) -> dict[str, str]:
    """A summary of encoded sentences: the first one's tokens and ids, lengths, truncation, unknown tokens.

    Args:
        tokenizer: From `load_tokenizer`.
        sentences: At least one text.
        seconds: The second sentences of a pair task.
        max_length: Longest input in tokens, special tokens included.
    """
    check_length(tokenizer, max_length, pairs=seconds is not None)
    encoded = encode(tokenizer, sentences, seconds, max_length=max_length)
    first = encoded.ids[: encoded.offsets[1]].tolist()
    lengths = encoded.lengths
    return {
        "first": " ".join(str(token) for token in tokenizer.convert_ids_to_tokens(first)),
        "ids": " ".join(str(index) for index in first),
        "lengths": f"{lengths.min()} to {lengths.max()} tokens, mean {lengths.mean():.1f}, {lengths.sum():,} in all",
        "truncation": encoded.truncation(),
        "unknown": f"{encoded.unknown_share():.1%} of the tokens of text, in {encoded.has_unknown.sum()} of "
        f"{len(encoded)} texts; {encoded.all_unknown.sum()} texts without any known token",
    }
