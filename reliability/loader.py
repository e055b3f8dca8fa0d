"""Loads folders that nobody vouches for, under the eye of an audit hook; a process of its own.

    python -m reliability.loader CASES RESULTS CANARY

CASES is a JSON list of cases (`Case` as dicts), RESULTS gets one JSON line a case: how it ended, and everything that
happened which must not. The hook sees what Python opens, runs and connects to. What safetensors and tokenizers open
in Rust it does not see: there a file outside shows by the folder being loaded after all, since it would be a good one.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pickle.find_class")
CALLS = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.bind",
    "urllib.Request",
)
OURS = {
    *("config.json", "model.safetensors", "judge.json", "manifest.json", "train_hashes.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "spm.model", "sentencepiece.bpe.model"),
}
"""All that may be opened of a folder, at its top."""
SECONDS, MEGABYTES, ROOM = 2.0, 50, 4 << 30  # of processor time and of memory for one folder; of address space in all


class Watch:
    """The audit hook: while a case is open, it notes what must not happen."""

    def __init__(self, everywhere: tuple[str, ...]) -> None:
        self.everywhere = everywhere  # where opening is nothing of note
        self.folder: str | None = None
        self.seen: list[str] = []
        self.busy = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: Any) -> None:
        if self.folder is None or self.busy:
            return
        if event in RUNS or event in CALLS:
            self.seen.append(f"{event} {str(arguments)[:80]}")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            self.busy = True
            try:
                self._judge_open(os.fsdecode(arguments[0]))
            finally:
                self.busy = False

    def _judge_open(self, name: str) -> None:
        path, folder = os.path.abspath(name), str(self.folder)
        real = os.path.realpath(path)
        if real.startswith(self.everywhere):
            return
        if os.path.dirname(path) in (folder, os.path.realpath(folder)):
            if os.path.basename(path) not in OURS:
                self.seen.append(f"opened {os.path.basename(path)}")
            if not real.startswith((os.path.realpath(folder) + "/", *self.blobs())):
                self.seen.append(f"opened {real} by way of {os.path.basename(path)}")
        else:
            self.seen.append(f"opened {path}, which is elsewhere")

    def blobs(self) -> Iterator[str]:
        """Where a snapshot's links may lead."""
        home = Path(os.path.realpath(str(self.folder))).parent
        if home.name == "snapshots":
            yield f"{home.parent}/blobs/"
            yield f"{home.parent.parent}/blobs/"


def load_encoder(folder: str) -> None:
    """All that becomes of an encoder before it is trained."""
    from acceptor.model.classifier import check_tokens, new_classifier
    from acceptor.model.describe import describe_encoder
    from acceptor.model.pretrained import find_encoder
    from acceptor.model.tokenizer import load_tokenizer

    encoder = find_encoder(folder)
    tokenizer = load_tokenizer(encoder.folder)
    check_tokens(tokenizer, new_classifier(encoder, ("no", "yes"), seed=0))
    describe_encoder(encoder)


def load_run(folder: str) -> None:
    """A run's judge, and three verdicts of it."""
    import acceptor

    judge = acceptor.load(folder, device="cpu", precision="fp32")
    judge(["The book was written.", "[SEP] the {{ 7 * 7 }}", "the x " * 200])


def load_weights(folder: str) -> None:
    """The tensors alone."""
    from acceptor.model.safety import read_weights

    read_weights(Path(folder) / "model.safetensors")


WAYS = {"encoder": load_encoder, "run": load_run, "weights": load_weights}


def attempt(watch: Watch, case: dict[str, Any], canary: Path) -> dict[str, Any]:
    """One case: ``ended`` (loads, refused, or the foreign error) and ``bad``, what else it did."""
    from acceptor.errors import AcceptorError

    before, began, started = peak(), time.process_time(), time.perf_counter()
    watch.seen, watch.folder = [], case["folder"]
    said = ""
    try:
        WAYS[case["kind"]](case["folder"])
        ended = "loads"
    except AcceptorError as error:
        ended, said = "refused" if error.exit_code in (1, 2) else f"exit code {error.exit_code}", str(error)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        ended = f"{type(error).__name__}: {str(error)[:120]}"
    watch.folder = None
    bad = list(dict.fromkeys(watch.seen))
    if canary.exists():
        canary.unlink()
        bad.append("code ran")
    if "SECRET" in said:
        bad.append("the message holds a secret file's text")
    if (seconds := time.process_time() - began) > SECONDS:
        bad.append(f"{seconds:.1f} s")
    if (grown := peak() - before) > MEGABYTES:
        bad.append(f"{grown:.0f} MB more memory")
    return {"name": case["name"], "ended": ended, "said": said, "bad": bad, "wall": time.perf_counter() - started}


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Loads every case and writes how it ended, line by line, so that a death shows where it happened."""
    cases, results, canary = (Path(name) for name in sys.argv[1:4])
    import acceptor
    from acceptor.runtime.garbage import collect_rarely

    collect_rarely()  # as our commands do
    source = str(Path(acceptor.__file__ or "").parent)
    homes = [sys.prefix, sys.base_prefix, source, os.environ["TMPDIR"], "/proc", "/sys", "/dev/null", "/usr"]
    watch = Watch(tuple(os.path.realpath(home) for home in homes))
    todo = json.loads(cases.read_text("utf-8"))
    for case in todo["warm"]:  # imports are no part of what is measured
        WAYS[case["kind"]](case["folder"])
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    with results.open("w", encoding="utf-8") as lines:
        for case in todo["cases"]:
            lines.write(json.dumps(attempt(watch, case, canary)) + "\n")
            lines.flush()


if __name__ == "__main__":
    main()
