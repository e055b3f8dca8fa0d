"""Loads untrusted tokenizers from a folder or from text; finds their special tokens and lengths."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptor.errors import EncoderError, ResourceError, UsageError
from acceptor.storage.files import is_disk_full, write_json
from acceptor.storage.links import check_links
from acceptor.storage.strict_json import read_json_object

VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)
MAX_VOCABULARY_BYTES = 64 << 20  # the largest of the known encoders has 17 MB
UNKNOWN = "\U000103a0"  # a letter of Old Persian, which no known vocabulary has

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
"""The keys of each settings file that Transformers gets. It would take any key, among them paths to open."""
_CLASSES = {
    *("AlbertTokenizer", "BertTokenizer", "CamembertTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer"),
    *("DistilBertTokenizer", "ElectraTokenizer", "ModernBertTokenizer", "MPNetTokenizer", "RobertaTokenizer"),
    *("XLMRobertaTokenizer", "PreTrainedTokenizer", "TokenizersBackend"),
}


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer in ``folder``, offline and without running code from there.

    Transformers reads a copy with the vocabulary and the settings that it needs, not the folder. Chat templates are
    never read.

    Returns:
        A ``transformers`` tokenizer; its ``backend_tokenizer`` does the work.

    Raises:
        EncoderError: The folder has no tokenizer, an unsafe one, or one without a padding token.
        ResourceError: No room for the copy.
    """
    expected = "tokenizer.json, vocab.txt, vocab.json with merges.txt, or a SentencePiece model"
    check_links(folder)
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise EncoderError(
            "the encoder has no tokenizer",
            where=str(folder),
            expected=expected,
            found=", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "an empty folder",
            next="save it there: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)",
            code="E-ENCODER-FILE",
        )
    with _wrap_errors(str(folder), expected):
        tokenizer = _read_tokenizer(folder)
        encode_as_text(tokenizer.backend_tokenizer)
    if tokenizer.pad_token_id is None:
        raise EncoderError(
            "the tokenizer has no padding token",
            where=str(folder),
            expected="an encoder of the BERT family, with a padding token",
            cause="generators such as GPT have none",
            code="E-ENCODER-TOKENIZER",
        )
    return tokenizer


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer without Transformers, with the attributes of Transformers' own that `encode` uses.

    Attributes:
        backend_tokenizer: A ``tokenizers.Tokenizer``.
        pad_token_id: The id of padding.
        mask_token_id: The id of the mask token; None if there is none.
        model_input_names: The encoder's inputs, with or without ``token_type_ids``.
    """

    backend_tokenizer: Any
    pad_token_id: int
    mask_token_id: int | None
    model_input_names: tuple[str, ...]


def parse_tokenizer(text: str, about: dict[str, object], where: str) -> Tokenizer:
    """The tokenizer in the text of a ``tokenizer.json``.

    Args:
        text: Untrusted.
        about: Has the three other fields of `Tokenizer`.
        where: The place that an error names.

    Raises:
        EncoderError: It cannot be read.
    """
    from tokenizers import Tokenizer as Backend

    with _wrap_errors(where, "a tokenizer and its padding id"):
        if len(text) > MAX_VOCABULARY_BYTES:
            raise ValueError(f"the tokenizer is longer than {MAX_VOCABULARY_BYTES} characters")
        pad, mask, names = about["pad_token_id"], about["mask_token_id"], about["model_input_names"]
        if type(pad) is not int or not (mask is None or type(mask) is int) or not isinstance(names, list):
            raise ValueError("pad_token_id, mask_token_id or model_input_names has the wrong type")
        backend = Backend.from_str(text)
        encode_as_text(backend)
        if backend.id_to_token(pad) is None or (mask is not None and backend.id_to_token(mask) is None):
            raise ValueError("pad_token_id or mask_token_id is not in the vocabulary")
    return Tokenizer(backend, pad, mask, tuple(map(str, names)))


def encode_as_text(backend: Any) -> None:
    """Makes the tokenizer treat "[SEP]" or "<pad>" in a sentence as text, and neither pad nor truncate."""
    backend.encode_special_tokens = True
    backend.no_padding()
    backend.no_truncation()
    backend.encode("a", UNKNOWN)  # a damaged part fails only when it is used, a missing unknown token at such a letter


@dataclass(frozen=True, eq=False)
class TokenizerInfo:
    """The properties of a tokenizer that encoding needs, computed once.

    Attributes:
        backend: The ``tokenizers.Tokenizer``, which treats special tokens as text and neither truncates nor pads.
            It is never changed, so any number of threads may use it.
        unknown: The id of unknown tokens; None if the vocabulary covers every byte.
        word_start: The id of SentencePiece's word-start symbol as a separate token; None if there is none.
        added: How many special tokens the tokenizer adds to a sentence, and to a pair.
        special_tokens: The texts of these tokens, and of BERT's.
    """

    backend: Any
    unknown: int | None
    word_start: int | None
    added: tuple[int, int]
    special_tokens: tuple[str, ...]

    def min_length(self, *, pairs: bool) -> int:
        """The length that leaves one token of each text."""
        return self.added[pairs] + 1 + pairs


_infos: weakref.WeakKeyDictionary[Any, TokenizerInfo] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def tokenizer_info(tokenizer: Any) -> TokenizerInfo:
    """The `TokenizerInfo` of a tokenizer; the same object from any thread."""
    found = _infos.get(tokenizer)
    if found is not None and _encodes_as_text(found.backend):
        return found
    with _lock:  # the first call, or Transformers' own calls have turned truncation on
        found = _infos[tokenizer] = _inspect(tokenizer.backend_tokenizer)
    return found


def check_length(tokenizer: Any, max_length: int, *, pairs: bool) -> None:
    """Refuses a maximum length that leaves no token of a text.

    Raises:
        UsageError: ``max_length`` is too small.
    """
    found = tokenizer_info(tokenizer)
    if max_length < found.min_length(pairs=pairs):
        raise UsageError(
            f"a maximum length of {max_length} tokens leaves no text",
            expected=f"max_length of {found.min_length(pairs=pairs)} at least",
            found=f"{max_length}, of which special tokens take {found.added[pairs]}",
            next="--max-length 128, or as long as your sentences are",
            code="E-USAGE-OPTION",
        )


def _encodes_as_text(backend: Any) -> bool:
    return backend.encode_special_tokens and backend.truncation is None and backend.padding is None


def _inspect(backend: Any) -> TokenizerInfo:
    if not _encodes_as_text(backend):
        from tokenizers import Tokenizer as Backend

        backend = Backend.from_str(backend.to_str())
        encode_as_text(backend)
    pair = backend.encode("a", "a")
    special_tokens = {
        backend.id_to_token(index) for index, added in zip(pair.ids, pair.special_tokens_mask, strict=True) if added
    }
    return TokenizerInfo(
        backend,
        _unknown(backend),
        backend.token_to_id("\u2581"),
        (backend.num_special_tokens_to_add(False), backend.num_special_tokens_to_add(True)),
        tuple(sorted({*special_tokens, "[CLS]", "[SEP]"})),
    )


def _unknown(backend: Any) -> int | None:
    """The id of unknown tokens: the model names it, or it is found by encoding `UNKNOWN`."""
    named = getattr(backend.model, "unk_token", None)
    if named is not None:
        return backend.token_to_id(named)  # type: ignore[no-any-return]
    ids = backend.encode(UNKNOWN, add_special_tokens=False).ids
    token = backend.id_to_token(ids[-1]) if ids else ""
    return ids[-1] if "unk" in token.casefold() else None


@contextlib.contextmanager
def _wrap_errors(where: str, expected: str) -> Iterator[None]:
    """Turns the errors of tokenizers into an `EncoderError`."""
    try:
        yield
    except EncoderError:
        raise
    except BaseException as error:  # tokenizers raises plain Exception; a panic in Rust is a BaseException
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if is_disk_full(error):
            raise ResourceError(
                "the disk of temporary files is full: no room for a copy of the tokenizer",
                where=tempfile.gettempdir(),
                cause=str(error),
                next="free some room there, or name another folder in TMPDIR",
                code="E-RESOURCE-DISK",
            ) from error
        reason = (str(error).strip() or type(error).__name__).split("\n")[0][:300]
        raise EncoderError(
            "the tokenizer cannot be read", where=where, expected=expected, cause=reason, code="E-ENCODER-TOKENIZER"
        ) from error


def _read_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory(prefix="acceptor-") as scratch:
        for name in (*VOCABULARIES, "merges.txt"):
            if (folder / name).is_file():
                (Path(scratch) / name).write_bytes(_bytes_of(folder / name))
        for name, known in _SETTINGS.items():
            if (folder / name).is_file():
                settings = read_json_object(folder / name)
                _refuse_settings(settings, folder / name)
                write_json(Path(scratch) / name, {key: settings[key] for key in known if key in settings})
        if (folder / "added_tokens.json").is_file():
            added = read_json_object(folder / "added_tokens.json")
            if not all(type(index) is int for index in added.values()):
                raise ValueError("added_tokens.json holds a value that is not an id")
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


def _refuse_settings(settings: dict[str, object], path: Path) -> None:
    """Refuses settings that name code or a file to open; ``special_tokens_map_file`` is never opened."""
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
    if named:
        raise EncoderError(
            "this tokenizer would run its own code, or read another file",
            where=f"{path}: {named[0]}",
            expected="no such key",
            found=str(settings[named[0]])[:80],
            next="if you trust it, remove the key",
            code="E-ENCODER-UNSAFE",
        )
    kind, words = settings.get("tokenizer_class"), settings.get("word_tokenizer_type")
    known = kind is None or str(kind).removesuffix("Fast") in _CLASSES
    if known and words in (None, "basic"):
        return
    ready = (path.parent / "tokenizer.json").is_file() and words in (None, "basic")
    raise EncoderError(
        f"this encoder's tokenizer is not supported: {words if known else kind}"[:120],
        where=f"{path}: {'word_tokenizer_type' if known else 'tokenizer_class'}",
        expected=f"one of {', '.join(sorted(_CLASSES))}",
        found=str(words if known else kind)[:80],
        cause="an unknown class; tokenizer.json may work without it"
        if ready
        else "it splits words in Python, or by a program such as MeCab, and has no tokenizer.json",
        next="if you trust it, remove the key"
        if ready
        else "use an encoder that has a tokenizer.json, such as a multilingual one: "
        "--encoder FacebookAI/xlm-roberta-base",
        code="E-ENCODER-TOKENIZER",
    )
