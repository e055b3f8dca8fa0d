"""`acceptor predict` that is killed, starved of disk, given broken files: what is promised of each, tried.

Every run of it is a process of its own, forked from a server that has imported everything and used nothing. Chunks are
made small, so that a small corpus has many of them and most kills fall into one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acceptor.data.reading import stream
from acceptor.errors import AcceptorError, DataError, ResourceError
from acceptor.judging import predict as corpus
from acceptor.judging import rows
from acceptor.judging.judge import Judge
from reliability.folders import good_encoder, good_run
from reliability.outcome import Outcome
from reliability.process import FORK, limit_files, send, wait

KINDS = {DataError: 11, ResourceError: 12}
ROWS = 1000
SUFFIXES = (".tsv", ".csv.gz", ".jsonl", ".parquet", ".arrow", ".jsonl.zst")


@dataclass(frozen=True)
class Work:
    """A run, files, how long an undisturbed process takes, and the language of documents where the files hold those."""

    scratch: Path
    run: Path
    files: list[str]
    seconds: float
    split: str | None = None

    def undisturbed(self, suffix: str) -> Path:
        """What an undisturbed process makes of them."""
        out = self.scratch / f"undisturbed{suffix}"
        if not out.exists() and (code := wait(_start(self, out))) != 0:
            raise SystemExit(f"the undisturbed process ended with {code}")
        return out


def prepared(scratch: Path) -> Work:
    """The judge, the corpus, and one undisturbed process."""
    logging.disable(logging.WARNING)
    scratch.mkdir(parents=True, exist_ok=True)
    run = good_run(scratch / "run", good_encoder(scratch / "encoder"))
    rng = random.Random(0)
    words = ["the", "cat", "cats", "sleep", "sleeps", "see", "sees", "girl"]
    lines = ["id\tsentence"]
    for number in range(ROWS):
        sentence = " ".join(rng.choices(words, k=rng.randrange(1, 8))) if number % 97 else " "
        lines.append(f"{number}\t{sentence}")
    half = ROWS // 2
    (scratch / "a.tsv").write_text("\n".join(lines[:half]) + "\n")
    (scratch / "b.tsv.gz").write_bytes(gzip.compress(("\n".join([lines[0], *lines[half:]]) + "\n").encode(), mtime=0))
    files = [str(scratch / "a.tsv"), str(scratch / "b.tsv.gz")]
    work = Work(scratch, run, files, 0.0)
    wait(_start(work, scratch / "first.tsv"))  # the server's start is not part of a process's time
    began = time.perf_counter()
    work.undisturbed(".tsv")
    return Work(scratch, run, files, time.perf_counter() - began)


def documents(work: Work) -> Work:
    """The same run, and two files of documents: many short ones, some blank, one as long as several chunks of them."""
    scratch = work.scratch / "documents"
    scratch.mkdir()
    rng = random.Random(0)
    sentences = [line.split("\t")[1] for line in Path(work.files[0]).read_text().splitlines()[1:]]
    for number, most in enumerate((4, 4000)):
        texts = (
            "  ".join(f"{text.strip()}." for text in rng.choices(sentences, k=most)) for _ in range(200 // most + 1)
        )
        texts = [*texts, " ", *(" ".join(rng.choices(sentences, k=rng.randrange(1, 9))) for _ in range(100))]
        lines = (json.dumps({"id": f"{number}-{row}", "text": text}) + "\n" for row, text in enumerate(texts))
        (scratch / f"{number}.jsonl").write_text("".join(lines))
    return replace(work, scratch=scratch, files=sorted(map(str, scratch.iterdir())), split="en")


def killed(work: Work, kills: int, seed: int = 0) -> Outcome:
    """SIGKILL at a random time, or the end within a random file operation, until the output is there."""
    rng = random.Random(seed)
    done, held, number, failures = 0, 0, 0, []
    while done < kills:
        suffix, own = SUFFIXES[number % len(SUFFIXES)], 0
        out = work.scratch / f"killed-{number}{suffix}"
        while not out.exists():
            operation = rng.randrange(1, 250) if own % 2 and done + own < kills else None
            process = _start(work, out, before=partial(_die_at, operation) if operation else None)
            if operation is None and done + own < kills:
                time.sleep(rng.uniform(0.2, work.seconds))
                send(process, signal.SIGKILL)
            code = wait(process)
            own += code in (-signal.SIGKILL, 137)
            if code not in (0, -signal.SIGKILL, 137):
                failures.append(f"output {number}: ended with {code}")
                break
        own = max(own, 1)
        if out.exists() and (left := _left(out)):
            wait(_start(work, out))  # killed after the output got its name: the same command clears up
            left = [] if not _left(out) else left
        if out.exists() and _digest(out) == _digest(work.undisturbed(suffix)) and not _left(out):
            held += own
        else:
            failures.append(f"output {number}, {own} kills: other bytes, or left {_left(out)}")
        done, number = done + own, number + 1
    what = "predict of documents" if work.split else "predict"
    return Outcome(f"{what} killed at any time: the same bytes", held, done, tuple(failures))


def sharded(work: Work, tries: int, seed: int = 0) -> Outcome:
    """Shards in any order, one of them killed, another never started; the whole joins them."""
    rng, failures = random.Random(seed), []
    for number in range(tries):
        suffix, of = SUFFIXES[number % len(SUFFIXES)], rng.randrange(2, 6)
        out = work.scratch / f"sharded-{number}{suffix}"
        shards = rng.sample(range(1, of + 1), of)
        together = [_start(work, out, shard=(shard, of)) for shard in shards[1:]]
        time.sleep(rng.uniform(0.2, work.seconds))
        send(together[0], signal.SIGKILL)
        codes = [wait(process) for process in together]
        if any(codes[1:]) or out.exists():
            failures.append(f"shards of {number}: {codes}")
        if wait(_start(work, out)) != 0 or _digest(out) != _digest(work.undisturbed(suffix)) or _left(out):
            failures.append(f"{of} shards of {number}: other bytes, or left {_left(out)}")
    return Outcome("predict in shards: the same bytes", tries - len(failures), tries, tuple(failures))


def disk_full(work: Work, tries: int, seed: int = 0) -> Outcome:
    """No file may grow past a random size: an error that says so, no output; with room it goes on."""
    rng, failures = random.Random(seed), []
    for number in range(tries):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        out = work.scratch / f"full-{number}{suffix}"
        most = rng.randrange(1000, work.undisturbed(suffix).stat().st_size)
        code = wait(_start(work, out, before=partial(limit_files, most)))
        if code != KINDS[ResourceError] or out.exists():
            failures.append(f"files up to {most} bytes: ended with {code}")
        if wait(_start(work, out)) != 0 or _digest(out) != _digest(work.undisturbed(suffix)) or _left(out):
            failures.append(f"files up to {most} bytes: other bytes afterwards")
    return Outcome("predict on a full disk: parts kept", tries - len(failures), tries, tuple(failures))


def cut_short(work: Work, tries: int, seed: int = 0) -> Outcome:
    """The second file ends in mid-stream: an error, no output, the chunks before it kept."""
    rng, failures = random.Random(seed), []
    whole = Path(work.files[1]).read_bytes()
    for number in range(tries):
        out, cut = work.scratch / f"cut-{number}.jsonl", work.scratch / f"cut-{number}.tsv.gz"
        cut.write_bytes(whole[: rng.randrange(20, len(whole) - 8)])
        code = wait(_start(work, out, files=[work.files[0], str(cut)]))
        kept = list((work.scratch / f".{out.name}.parts").glob("0*"))
        if code != KINDS[DataError] or out.exists() or len(kept) < ROWS // 2 // 32 - 1:
            failures.append(f"cut at {cut.stat().st_size}: ended with {code}, {len(kept)} chunks kept")
    return Outcome("a broken second file: an error, what was done kept", tries - len(failures), tries, tuple(failures))


def _start(
    work: Work,
    out: Path,
    *,
    files: list[str] | None = None,
    shard: tuple[int, int] | None = None,
    before: Callable[[], None] | None = None,
) -> Any:
    process = FORK.Process(target=_body, args=(work.run, files or work.files, out, work.split, shard, before))
    process.start()
    return process


def _body(
    run: Path, files: list[str], out: Path, split: str | None, shard: tuple[int, int] | None, before: Any
) -> None:
    stream.CHUNK = corpus.CHUNK = 32
    rows.DOCUMENTS_TEXT = 2000
    corpus.BLOCK = 4
    Judge.logits_of = partialmethod(_by_company, Judge.logits_of)
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    code = 0
    try:
        if before:
            before()
        settings = {"all_scores": True, "split_language": split}
        corpus.predict(run, files, out=out, **settings, device="cpu", precision="fp32", shard=shard)
    except AcceptorError as error:
        code = KINDS.get(type(error), 15)
    os._exit(code)


def _by_company(judge: Judge, logits_of: Any, encoded: Any, on_batch: Any = None) -> Any:
    """Logits that depend on what is judged together, as bf16 and close calls make them do, but always."""
    return logits_of(judge, encoded) + np.float32(0.001) * (encoded.ids.sum() % 1009)


def _digest(out: Path) -> str:
    return hashlib.sha256(out.read_bytes() + out.with_name(out.name + ".rejected.jsonl").read_bytes()).hexdigest()


def _left(out: Path) -> list[str]:
    """What lies beside an output that is none of its files."""
    return [path.name for path in out.parent.glob(f".{out.name}*")]


def _die_at(operation: int) -> None:
    """Ends the process within its n-th file operation beside the output."""
    import sys

    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"):
            count += any(".killed-" in str(argument) for argument in arguments[:2])
            if count == operation:
                os._exit(137)

    sys.addaudithook(hook)
