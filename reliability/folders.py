"""Folders that must not be loaded: generated good ones, each with one change.

A `Case` has the use of its folder (as an encoder, as a run, or only its weights), the change, and the expected result:
refused, or loaded without opening the dangerous file beside it.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *["the", "a", "book", "cat", "cats", "was", "were", "written", "wrote", "sleep", ".", "?", "x", "##s"],
]
SECRET = "SECRET of another folder"


@dataclass(frozen=True)
class Place:
    """The paths for a change: the folder, a folder outside it with good files and a secret, the canary."""

    folder: Path
    outside: Path
    canary: Path

    def named(self, text: str) -> str:
        """The text with the outside folder's path for ``{outside}``, and the relative path to it for ``{up}``."""
        climb = os.path.relpath(self.outside, self.folder)
        return text.replace("{outside}", str(self.outside)).replace("{up}", climb)


Change = Callable[[Place], None]


@dataclass(frozen=True)
class Case:
    """One hostile folder."""

    name: str
    kind: str  # encoder, run, weights
    ends: str  # refused, loads
    change: Change
    path: str = "model"


def good_encoder(folder: Path, *, every_byte: bool = False) -> Path:
    """A random BERT of two layers with a tokenizer, small and the same every time.

    Args:
        folder: Where to make it.
        every_byte: Its tokens are bytes, so that no text is unknown to it.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from acceptor.model.classifier import quiet_transformers

    vocabulary = [*WORDS[:5], *sorted(pre_tokenizers.ByteLevel.alphabet())] if every_byte else WORDS
    ids = {word: index for index, word in enumerate(vocabulary)}
    if every_byte:
        words = Tokenizer(models.BPE(ids, []))
        words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        words = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
        words.normalizer = normalizers.BertNormalizer(lowercase=True)
        words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=32, **names)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with quiet_transformers():
        BertModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    if not every_byte:
        (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", "utf-8")
    return folder


def good_run(folder: Path, encoder: Path) -> Path:
    """An untrained judge, saved as a run."""
    import numpy as np

    from acceptor.judging.judge import Judge
    from acceptor.model.classifier import new_classifier
    from acceptor.model.pretrained import find_encoder
    from acceptor.model.tokenizer import load_tokenizer
    from acceptor.runtime.device import choose_runtime
    from acceptor.storage.files import new_folder

    found = find_encoder(str(encoder))
    labels = ("unacceptable", "acceptable")
    model, tokenizer = new_classifier(found, labels, seed=0).eval(), load_tokenizer(encoder)
    about, hashes = found.to_dict() | {"name": "tiny"}, np.arange(9, dtype=np.uint64)
    judge = Judge(model, tokenizer, labels, 32, choose_runtime("cpu", "fp32"), about, trained_on=hashes)
    with new_folder(folder) as scratch:
        judge.save(scratch)
    return folder


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────────


class Bomb:
    """Unpickled, it writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo ran > '{self.canary}'",)


def pickled(canary: Path, form: str) -> bytes:
    """A pickle that runs code, in one of the containers that libraries open."""
    import numpy as np
    import torch

    out = io.BytesIO()
    if form in ("zip", "legacy"):
        torch.save({"weight": Bomb(canary)}, out, _use_new_zipfile_serialization=form == "zip")
    elif form == "npy":
        np.save(out, np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    elif form == "7z":
        out.write(b"7z\xbc\xaf\x27\x1c" + pickle.dumps(Bomb(canary)))
    else:
        pickle.dump(Bomb(canary), out)
    return out.getvalue()


def bomb(name: str, form: str = "raw", *, instead: str | None = None) -> Change:
    """A pickle called ``name``, beside the weights or instead of a file."""

    def change(place: Place) -> None:
        if instead:
            (place.folder / instead).unlink()
        path = place.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickled(place.canary, form))

    return change


def merged(name: str, **changes: Any) -> Change:
    """Keys of a JSON file set to something else; ``{outside}`` and ``{up}`` as in `Place.named`."""

    def change(place: Place) -> None:
        path = place.folder / name
        content = json.loads(path.read_text("utf-8")) if path.exists() else {}
        path.write_text(place.named(json.dumps(content | changes)), "utf-8")

    return change


def config(**changes: Any) -> Change:
    """`merged` for config.json."""
    return merged("config.json", **changes)


def tokens(**changes: Any) -> Change:
    """`merged` for tokenizer_config.json."""
    return merged("tokenizer_config.json", **changes)


def written(name: str, content: bytes | str) -> Change:
    """A file with this content."""

    def change(place: Place) -> None:
        path = place.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def code(name: str) -> Change:
    """A Python file that writes the canary when it is imported."""

    def change(place: Place) -> None:
        path = place.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(place.canary)!r}, 'w').write('ran')\nclass Evil: pass\n", "utf-8")

    return change


def link(name: str, target: str) -> Change:
    """A symbolic link in place of a file; ``{outside}`` and ``{up}`` as in `Place.named`."""

    def change(place: Place) -> None:
        path = place.folder / name
        path.unlink(missing_ok=True)
        path.symlink_to(place.named(target))

    return change


def hard_link(name: str, target: str) -> Change:
    """A second name for a file outside."""

    def change(place: Place) -> None:
        (place.folder / name).unlink(missing_ok=True)
        os.link(place.outside / target, place.folder / name)

    return change


def pipe(name: str) -> Change:
    """A named pipe: opening it would never return."""

    def change(place: Place) -> None:
        (place.folder / name).unlink(missing_ok=True)
        os.mkfifo(place.folder / name)

    return change


def removed(*names: str) -> Change:
    """Files taken away."""

    def change(place: Place) -> None:
        for name in names:
            (place.folder / name).unlink()

    return change


def sparse(name: str, size: int) -> Change:
    """A sparse file of zeros, which needs no disk space."""

    def change(place: Place) -> None:
        with (place.folder / name).open("wb") as stream:
            stream.truncate(size)

    return change


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(place: Place) -> None:
        for each in changes:
            each(place)

    return change


def flipped(name: str, at: int) -> Change:
    """One bit of a file."""

    def change(place: Place) -> None:
        path = place.folder / name
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(bytes(data))

    return change


def archive(kind: str, *, alone: bool = False) -> Change:
    """Only an archive in the folder, or ``alone`` instead of it, with a member whose path leads out of it."""

    def change(place: Place) -> None:
        shutil.rmtree(place.folder)
        if not alone:
            place.folder.mkdir()
        if kind == "zip":
            with zipfile.ZipFile(place.folder if alone else place.folder / "model.zip", "w") as packed:
                packed.writestr("../../escaped.json", "{}")
                packed.writestr("config.json", "{}")
            return
        with tarfile.open(place.folder / "model.tar.gz", "w:gz") as tar:
            entry = tarfile.TarInfo("link")
            entry.type, entry.linkname = tarfile.SYMTYPE, str(place.outside)
            tar.addfile(entry)

    return change


def snapshot(*, shared: bool = False, escapes: bool = False) -> Change:
    """The folder as the hub's cache keeps it: links to blobs; one of them leads out if it ``escapes``."""

    def change(place: Place) -> None:
        home = place.folder.parent.parent
        blobs, store = home / "blobs", home.parent / "blobs" / "ab"
        blobs.mkdir()
        store.mkdir(parents=True)
        for path in list(place.folder.iterdir()):
            blob = blobs / f"{path.name}-blob"
            shutil.move(path, store / blob.name if shared else blob)
            if shared:
                blob.symlink_to(store / blob.name)
            path.symlink_to(os.path.relpath(blob, path.parent))
        if escapes:
            link("tokenizer.json", "{outside}/tokenizer.json")(place)

    return change


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    """A file of the format with any header."""
    return struct.pack("<Q", len(header)) + header + data
