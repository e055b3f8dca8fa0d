"""Text to ids, in one place. Training, evaluation, prediction, export and serving all pass here.

The result is ragged: no padding exists before `batches`.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.errors import EncoderError, ResourceError
from acceptor.files import check_folder, read_object, says_full, write_json

CHUNK = 10_000  # sentences tokenised per call: enough for all cores, little memory

VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)
MAX_VOCABULARY_BYTES = 64 << 20  # the largest of the known encoders has 17 MB

_TOKENS = {f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")}
_TOKENS |= {"additional_special_tokens", "extra_special_tokens"}
_SETTINGS = {
    "config.json": {"model_type", "tokenizer_class"},
    "tokenizer_config.json": _TOKENS
    | {
        "added_tokens_decoder",
        "add_prefix_space",
        "clean_up_tokenization_spaces",
        "do_lower_case",
        "errors",
        "keep_accents",
        "model_input_names",
        "model_max_length",
        "split_by_punct",
        "strip_accents",
        "tokenize_chinese_chars",
        "tokenizer_class",
        "trim_offsets",
        "unk_id",
    },
    "special_tokens_map.json": _TOKENS,
}
"""What Transformers gets to see of each file of settings. It would take any key, among them paths to open."""
_CLASSES = {
    *("AlbertTokenizer", "BertTokenizer", "CamembertTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer"),
    *("DistilBertTokenizer", "ElectraTokenizer", "ModernBertTokenizer", "MPNetTokenizer", "RobertaTokenizer"),
    *("XLMRobertaTokenizer", "PreTrainedTokenizer", "TokenizersBackend"),
}


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

    Transformers reads a copy that holds the vocabulary and the settings it needs, not the folder. Chat templates are
    never read.

    Returns:
        A ``transformers`` tokenizer; its ``backend_tokenizer`` does the work.

    Raises:
        EncoderError: The folder holds no tokenizer, one that must not be loaded, or one without a padding token.
        ResourceError: No room for the copy.
    """
    expected = "tokenizer.json, vocab.txt, vocab.json with merges.txt, or a SentencePiece model"
    check_folder(folder)
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise EncoderError(
            "the encoder has no tokenizer",
            where=str(folder),
            expected=expected,
            found=", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "an empty folder",
            next="save it there: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)",
        )
    with _told(str(folder), expected):
        tokenizer = _read_tokenizer(folder)
        _take_as_text(tokenizer.backend_tokenizer)
    if tokenizer.pad_token_id is None:
        raise EncoderError(
            "the tokenizer has no padding token",
            where=str(folder),
            expected="an encoder of the BERT family, with a padding token",
            cause="generators such as GPT have none",
        )
    return tokenizer


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer without Transformers, under the names by which `encode` knows Transformers' own.

    Attributes:
        backend_tokenizer: A ``tokenizers.Tokenizer``.
        pad_token_id: The id that fills batches.
        mask_token_id: The id that hides a token; None where there is none.
        model_input_names: What the encoder takes: ``token_type_ids`` among them, or not.
    """

    backend_tokenizer: Any
    pad_token_id: int
    mask_token_id: int | None
    model_input_names: tuple[str, ...]


def parse_tokenizer(text: str, about: dict[str, Any], where: str) -> Tokenizer:
    """The tokenizer in the text of a ``tokenizer.json``.

    Args:
        text: Nobody vouches for it.
        about: Holds the three other fields of `Tokenizer`.
        where: What an error names.

    Raises:
        EncoderError: It cannot be read.
    """
    from tokenizers import Tokenizer as Backend

    with _told(where, "a tokenizer and its padding id"):
        if len(text) > MAX_VOCABULARY_BYTES:
            raise ValueError(f"the tokenizer is longer than {MAX_VOCABULARY_BYTES} characters")
        pad, mask, names = about["pad_token_id"], about["mask_token_id"], about["model_input_names"]
        if type(pad) is not int or not (mask is None or type(mask) is int) or not isinstance(names, list):
            raise ValueError("pad_token_id, mask_token_id or model_input_names is not what it must be")
        backend = Backend.from_str(text)
        _take_as_text(backend)
    return Tokenizer(backend, pad, mask, tuple(map(str, names)))


def _take_as_text(backend: Any) -> None:
    """What users type is text: "[SEP]" or "<pad>" inside a sentence must not become a control token."""
    backend.encode_special_tokens = True
    backend.no_padding()
    backend.no_truncation()
    backend.encode("a", "a")  # a damaged part shows when it is used


@contextlib.contextmanager
def _told(where: str, expected: str) -> Iterator[None]:
    """Says what went wrong with a tokenizer."""
    try:
        yield
    except EncoderError:
        raise
    except BaseException as error:  # tokenizers raises Exception itself, and a panic in Rust is not even that
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if says_full(error):
            raise ResourceError(
                "the disk of temporary files is full: no room for a copy of the tokenizer",
                where=tempfile.gettempdir(),
                cause=str(error),
                next="free some room there, or name another folder in TMPDIR",
            ) from error
        reason = (str(error).strip() or type(error).__name__).split("\n")[0][:300]
        raise EncoderError("the tokenizer cannot be read", where=where, expected=expected, cause=reason) from error


def _read_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory(prefix="acceptor-") as scratch:
        for name in (*VOCABULARIES, "merges.txt"):
            if (folder / name).is_file():
                (Path(scratch) / name).write_bytes(_bytes_of(folder / name))
        for name, known in _SETTINGS.items():
            if (folder / name).is_file():
                settings = read_object(folder / name)
                _refuse_settings(settings, folder / name)
                write_json(Path(scratch) / name, {key: settings[key] for key in known if key in settings})
        if (folder / "added_tokens.json").is_file():
            added = read_object(folder / "added_tokens.json")
            if not all(type(index) is int for index in added.values()):
                raise ValueError("added_tokens.json holds something that is no id")
            write_json(Path(scratch) / "added_tokens.json", added)
        tokenizer = AutoTokenizer.from_pretrained(scratch, local_files_only=True, trust_remote_code=False)
    tokenizer.name_or_path = str(folder)
    tokenizer.init_kwargs["name_or_path"] = str(folder)
    return tokenizer


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(MAX_VOCABULARY_BYTES + 1)
    if len(data) > MAX_VOCABULARY_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_VOCABULARY_BYTES} bytes")
    return data


def _refuse_settings(settings: dict[str, Any], path: Path) -> None:
    """Refuses what names code, or a file to open. Old files name their special tokens' file; nothing opens that."""
    named = [
        key for key in ("auto_map", "fast_tokenizer_files", "init_inputs", "tokenizer_object") if settings.get(key)
    ]
    named += [
        key
        for key, value in settings.items()
        if key.endswith("_file") and value is not None and key != "special_tokens_map_file"
    ]
    if not isinstance(settings.get("model_max_length", 0), int | float):
        named.append("model_max_length")
    kind = settings.get("tokenizer_class")
    if kind is not None and str(kind).removesuffix("Fast") not in _CLASSES:
        named.append("tokenizer_class")
    if named:
        raise EncoderError(
            "this tokenizer wants to run its own code, or to read another file",
            where=f"{path}: {named[0]}",
            expected=f"one of {', '.join(sorted(_CLASSES))}" if named == ["tokenizer_class"] else "no such key",
            found=str(settings[named[0]])[:80],
            next="if you trust it, remove the key",
        )


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


@dataclass(frozen=True, eq=False)
class Words:
    """One input's tokens and the words that they are parts of.

    Attributes:
        ids: int32, shape (L,): the ids that `encode` gives, special tokens included.
        owners: int64, shape (L,): for each token the number of its word, -1 for special tokens.
        words: The words as they stand in the sentence, in its order.
    """

    ids: npt.NDArray[np.int32]
    owners: npt.NDArray[np.int64]
    words: tuple[str, ...]


def encode_words(tokenizer: Any, sentences: Sequence[str], *, max_length: int) -> list[Words]:
    """The ids of `encode` with the words that they come from: what the tokenizer parts before it looks for pieces.

    Words that are cut off at ``max_length`` are not among them.
    """
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(max_length, strategy="longest_first")
    encodings = backend.encode_batch(list(sentences))
    backend.no_truncation()
    return [_words(sentence, one) for sentence, one in zip(sentences, encodings, strict=True)]


def _words(sentence: str, encoding: Any) -> Words:
    owners: list[int] = []
    spans: list[tuple[int, int]] = []
    number: dict[Any, int] = {}
    parts = zip(encoding.special_tokens_mask, encoding.word_ids, encoding.offsets, strict=True)
    for at, (special, word, (start, end)) in enumerate(parts):
        if special:
            owners.append(-1)
            continue
        key = ("token", at) if word is None else word  # a tokenizer that parts nothing: every token for itself
        if key not in number:
            number[key] = len(spans)
            spans.append((start, end))
        owner = number[key]
        spans[owner] = (min(start, spans[owner][0]), max(end, spans[owner][1]))
        owners.append(owner)
    words = tuple(sentence[start:end].strip() for start, end in spans)
    return Words(np.array(encoding.ids, dtype=np.int32), np.array(owners, dtype=np.int64), words)


def end_to_end(ids: Sequence[npt.NDArray[np.int32]]) -> Encoded:
    """The ids of single sentences as one ragged array; nothing was cut."""
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in ids], dtype=np.int64)]).astype(np.int64)
    flat = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
    return Encoded(flat, None, offsets, np.zeros(len(ids), dtype=np.int32))


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
