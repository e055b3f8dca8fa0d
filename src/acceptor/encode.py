"""Text to ids, in one place. Training, evaluation, prediction, export and serving all pass here.

The result is ragged: no padding exists before `batches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.errors import EncoderError

CHUNK = 10_000  # sentences tokenised per call: enough for all cores, little memory


@dataclass(frozen=True, eq=False)
class Encoded:
    """Token ids of N inputs, end to end.

    Attributes:
        ids: int32, shape (tokens,): all inputs' ids, special tokens included.
        type_ids: int8, shape (tokens,): 0 in the first sentence, 1 in the second; None for single
            sentences and for encoders that take no token types.
        offsets: int64, shape (N + 1,): input i is ``ids[offsets[i]:offsets[i + 1]]``.
        cut: int32, shape (N,): how many tokens truncation took from each input.
    """

    ids: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int8] | None
    offsets: npt.NDArray[np.int64]
    cut: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens per input, shape (N,)."""
        return np.diff(self.offsets)

    def truncation(self) -> str:
        """One line that says how many inputs were cut and by how much."""
        rows = int((self.cut > 0).sum())
        if rows == 0:
            return f"no input was cut (longest {int(self.lengths.max(initial=0))} tokens)"
        cut = self.cut[self.cut > 0]
        share = f"{rows / len(self):.1%}"
        return f"{rows} of {len(self)} inputs cut ({share}), by {cut.mean():.1f} tokens on average, {cut.max()} at most"


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer in ``folder``, offline and without running code from there.

    Returns:
        A ``transformers`` tokenizer; its ``backend_tokenizer`` does the work.

    Raises:
        EncoderError: The folder holds no tokenizer, or one without a padding token.
    """
    from transformers import AutoTokenizer

    expected = "tokenizer.json, vocab.txt, vocab.json with merges.txt, or a SentencePiece model"
    known = (
        "tokenizer.json",
        "vocab.txt",
        "vocab.json",
        "spiece.model",
        "spm.model",
        "sentencepiece.bpe.model",
    )
    if not any((folder / name).is_file() for name in known):
        raise EncoderError(
            "the encoder has no tokenizer",
            where=str(folder),
            expected=expected,
            found=", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "an empty folder",
            next="save it there: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        backend = tokenizer.backend_tokenizer
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EncoderError(
            "the tokenizer cannot be read", where=str(folder), expected=expected, cause=reason
        ) from error
    if tokenizer.pad_token_id is None:
        raise EncoderError(
            "the tokenizer has no padding token",
            where=str(folder),
            expected="an encoder of the BERT family, with a padding token",
            cause="generators such as GPT have none",
        )
    # What users type is text: "[SEP]" or "<pad>" inside a sentence must not become a control token.
    backend.encode_special_tokens = True
    backend.no_padding()
    return tokenizer


def encode(
    tokenizer: Any, sentences: Sequence[str], seconds: Sequence[str] | None = None, *, max_length: int
) -> Encoded:
    """Ids of every sentence (or pair) with the tokenizer's own special tokens, cut at ``max_length``.

    Pairs are cut from their longer side first.

    Args:
        tokenizer: From `load_tokenizer`.
        sentences: N texts, unpadded, untouched.
        seconds: The N second sentences of a pair task.
        max_length: Longest input in tokens, special tokens included.
    """
    backend = tokenizer.backend_tokenizer
    with_types = seconds is not None and "token_type_ids" in tokenizer.model_input_names
    ids: list[npt.NDArray[np.int32]] = []
    types: list[npt.NDArray[np.int8]] = []
    lengths: list[int] = []
    cut = np.zeros(len(sentences), dtype=np.int32)
    for start in range(0, len(sentences), CHUNK):
        texts: list[Any] = list(sentences[start : start + CHUNK])
        if seconds is not None:
            texts = list(zip(texts, seconds[start : start + CHUNK], strict=True))
        backend.no_truncation()
        encodings = backend.encode_batch_fast(texts)
        long = [row for row, encoding in enumerate(encodings) if len(encoding.ids) > max_length]
        if long:
            backend.enable_truncation(max_length, strategy="longest_first")
            shortened = backend.encode_batch_fast([texts[row] for row in long])
            for row, encoding in zip(long, shortened, strict=True):
                cut[start + row] = len(encodings[row].ids) - len(encoding.ids)
                encodings[row] = encoding
        ids.extend(np.array(encoding.ids, dtype=np.int32) for encoding in encodings)
        lengths.extend(len(encoding.ids) for encoding in encodings)
        if with_types:
            types.extend(np.array(encoding.type_ids, dtype=np.int8) for encoding in encodings)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    flat = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
    return Encoded(flat, np.concatenate(types) if types else None, offsets, cut)


def token_report(
    tokenizer: Any, sentences: Sequence[str], seconds: Sequence[str] | None = None, *, max_length: int
) -> dict[str, str]:
    """What a tokenizer makes of the sentences: the first one's tokens and ids, lengths, truncation.

    Args:
        tokenizer: From `load_tokenizer`.
        sentences: One text at least.
        seconds: The second sentences of a pair task.
        max_length: Longest input in tokens, special tokens included.
    """
    encoded = encode(tokenizer, sentences, seconds, max_length=max_length)
    first = encoded.ids[: encoded.offsets[1]].tolist()
    lengths = encoded.lengths
    return {
        "first": " ".join(str(token) for token in tokenizer.convert_ids_to_tokens(first)),
        "ids": " ".join(str(index) for index in first),
        "lengths": f"{lengths.min()} to {lengths.max()} tokens, mean {lengths.mean():.1f}, {lengths.sum():,} in all",
        "truncation": encoded.truncation(),
    }
