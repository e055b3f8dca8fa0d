"""`predict --ray`: a real local cluster in processes of its own, stopped once and with a worker killed; sockets are
blocked in this one. Chunks are made small here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pyarrow as pa
import pyarrow.dataset
import pytest

from acceptor import corpus
from acceptor.corpus import Settings
from acceptor.data.filesystems import OutputFolder, address_of, found_files
from acceptor.data.read import read_table
from acceptor.errors import DataError, RunError, UsageError
from acceptor.integrations.ray_output import DONE, MANIFEST, PLAN, Output, part_name
from acceptor.judge import Judge
from conftest import REPOSITORY, toy_rows

CODE = "from acceptor.data import stream; stream.CHUNK = 16\nfrom acceptor.cli import main; main()"


def command(*arguments):
    return [sys.executable, "-c", CODE, "predict", *map(str, arguments)]


def texts(n, start=0):
    return [f"{text[:-1]} {start + row}." for row, (text, _) in enumerate(toy_rows(n, start))]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A TSV and a JSONL of other order of columns, with rows that cannot be judged and sentences that come again."""
    folder = tmp_path_factory.mktemp("in put%")
    lines = [f"{row}\t{text}" for row, text in enumerate(texts(1600))]
    lines[700:700] = ["x\t ", "x\tone\ttoo many"]
    (folder / "1.tsv").write_text("".join(line + "\n" for line in ["id\tsentence", *lines]))
    rows = [{"sentence": text, "id": row} for row, text in enumerate(texts(400, 9) * 4)]
    (folder / "2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def parts(out):
    return sorted(out.glob("part-*"))


def wait_for(sign, process):
    deadline = time.monotonic() + 90
    while not (found := sign()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def start(arguments, out, count):
    """A command in a process of its own, once it has written some parts; and all processes below it."""
    begun = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(parts(out)) >= count, begun)
    return begun, Below(psutil.Process(begun.pid))


class Below:
    """The processes below one, and the folder that they share."""

    def __init__(self, process):
        self.processes = process.children(recursive=True)
        words = " ".join(word for one in self.processes for word in of(one, "cmdline"))
        [self.scratch] = set(re.findall(r"/\S*/acceptor-ray-\w+", words))

    def judges(self):
        """The workers that judge; Ray names them after what they do."""
        return [one for one in self.processes if "JudgeActor" in " ".join(of(one, "cmdline"))]

    def listening(self):
        found = [one for process in self.processes for one in of(process, "net_connections")]
        return [one.laddr.ip.removeprefix("::ffff:") for one in found if one.status == psutil.CONN_LISTEN]

    def are_gone(self):
        _, alive = psutil.wait_procs(self.processes, timeout=20)
        return not alive and not Path(self.scratch).exists()


def of(process, what):
    """What a process says of itself, where it still does."""
    with contextlib.suppress(psutil.Error):
        return getattr(process, what)()
    return []


def test_stopped_and_with_a_worker_killed_every_row_is_there_once(toy_run, files, tmp_path):
    out = tmp_path / "out.parquet"
    arguments = [toy_run.folder, files.as_uri(), "-o", out, "--all-scores", "--ray", "local", "--workers", "2"]

    begun, below = start(arguments, out, 5)
    listening = below.listening()
    begun.terminate()
    said = begun.communicate(timeout=60)
    assert begun.returncode == 143, said
    assert len(listening) >= 4
    assert set(listening) == {"127.0.0.1"}
    assert below.are_gone()
    assert not (out / MANIFEST).exists()
    noted = [one for note in (out / DONE).iterdir() for one in json.loads(note.read_bytes())["done"]]
    assert 0 < len(noted) < 150
    written = {one["name"]: (out / one["name"]).stat().st_mtime_ns for one in noted}

    begun, below = start(arguments, out, len(parts(out)) + 5)
    victim, _ = below.judges()
    victim.send_signal(signal.SIGKILL)
    killed_at = len(parts(out))
    stdout, stderr = begun.communicate(timeout=120)
    assert begun.returncode == 0, stderr
    assert killed_at < 190
    assert "3,202 rows in = 3,200 out + 2 rejected" in stdout
    assert re.fullmatch(r"file://.*/1.tsv: header: sentence; kept: id\n2 workers\n(.*retr.*\n)*", stderr)
    assert below.are_gone()

    names = [part_name(file, chunk) + ".parquet" for file in range(2) for chunk in range(101 if file == 0 else 100)]
    assert [path.name for path in parts(out)] == names
    assert sorted(path.name for path in out.iterdir() if path not in parts(out)) == [MANIFEST, "_rejected"]
    assert written.items() <= {path.name: path.stat().st_mtime_ns for path in parts(out)}.items()
    manifest = json.loads((out / MANIFEST).read_bytes())
    assert list(manifest["parts"]) == names
    assert manifest["counts"] == {"rows": 3202, "written": 3200, "left_out": 0, "rejected": 2, "judged": 3200}

    corpus.predict(toy_run.folder, [str(files)], tmp_path / "alone.parquet", Settings(all_scores=True))
    alone = pl.read_parquet(tmp_path / "alone.parquet")
    together = pl.from_arrow(pyarrow.dataset.dataset(out).to_table())
    assert together.columns == alone.columns
    same = ["id", "sentence", "verdict"]
    assert together.select(same).equals(alone.select(same))
    numbers = alone.drop(same)
    np.testing.assert_allclose(together.select(numbers.columns).to_numpy(), numbers.to_numpy(), atol=1e-5)
    rejected = [json.loads(line) for path in sorted((out / "_rejected").iterdir()) for line in path.open()]
    assert [(one["line"], one["problem"]) for one in rejected] == [
        (702, "a sentence is empty"),
        (703, "a row has the wrong number of columns"),
    ]
    assert all(one["file"].endswith("/1.tsv") for one in rejected)


def test_a_file_that_differs_ends_it_with_its_own_error(toy_run, tmp_path):
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text("id,sentence\n" + "".join(f"{row},{text}\n" for row, text in enumerate(texts(40))))
    second.write_text("sentence\nthe girl sees.\n")
    out = tmp_path / "out.csv"
    arguments = [toy_run.folder, first, second, "-o", out, "--ray", "local", "--workers", "1", "--json"]
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    error = json.loads(done.stdout)
    assert error["error"] == "DataError"
    assert error["problem"] == "a file has other columns than the first one"
    assert (error["where"], error["found"]) == (str(second), "sentence")
    assert "Traceback" not in done.stderr
    assert not (out / MANIFEST).exists()
