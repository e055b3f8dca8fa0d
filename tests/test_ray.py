"""`predict --ray`: a real local cluster in other processes, stopped once and with a worker killed; sockets are
blocked in this one. Chunks are small here."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import psutil
import pyarrow as pa
import pyarrow.dataset
import pytest
import zstandard

import acceptor
from acceptor.data.reading.read import read_table
from acceptor.data.reading.remote_files import found_files
from acceptor.errors import DataError, ResourceError, RunError, UsageError
from acceptor.integrations.ray import JudgeActor, Task, _columns, read_chunks
from acceptor.integrations.ray_cluster import connected, original_errors
from acceptor.integrations.ray_output import DONE, MANIFEST, PLAN, Output, part_name
from acceptor.judging import predict as predict_module
from acceptor.judging.judge import Judge
from acceptor.judging.rows import PredictSettings
from acceptor.storage.filesystems import OutputFolder, address_of
from conftest import REPOSITORY, raises, toy_rows, wait_for

CODE = "from acceptor.data.reading import stream; stream.CHUNK = 16\nfrom acceptor.cli.app import main; main()"


def command(*arguments):
    return [sys.executable, "-c", CODE, "predict", *map(str, arguments)]


def texts(n, start=0):
    return [f"{text[:-1]} {start + row}." for row, (text, _) in enumerate(toy_rows(n, start))]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A TSV and a JSONL with another order of columns, with invalid rows and repeated sentences."""
    folder = tmp_path_factory.mktemp("in put%")
    lines = [f"{row}\t{text}" for row, text in enumerate(texts(640))]
    lines[300:300] = ["x\t ", "x\tone\ttoo many"]
    (folder / "1.tsv").write_text("".join(line + "\n" for line in ["id\tsentence", *lines]))
    rows = [{"sentence": text, "id": row} for row, text in enumerate(texts(160, 9) * 4)]
    (folder / "2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def parts(out):
    return sorted(out.glob("part-*"))


def wait_while_alive(condition, process):
    def met():
        assert process.poll() is None, process.communicate()
        return condition()

    return wait_for(met)


def start(arguments, out, count):
    """Starts a command in a new process, waits until it has written some parts; returns it and its children."""
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_while_alive(lambda: len(parts(out)) >= count, process)
    return process, Below(psutil.Process(process.pid))


class Below:
    """The descendants of a process, and the folder that they share."""

    def __init__(self, process):
        self.processes = process.children(recursive=True)
        words = " ".join(word for one in self.processes for word in of(one, "cmdline"))
        [self.scratch] = set(re.findall(r"/\S*/acceptor-ray-\w+", words))

    def judges(self):
        """The judging workers, by the process titles that Ray sets."""
        return [one for one in self.processes if "JudgeActor" in " ".join(of(one, "cmdline"))]

    def listening(self):
        found = [one for process in self.processes for one in of(process, "net_connections")]
        return [one.laddr.ip.removeprefix("::ffff:") for one in found if one.status == psutil.CONN_LISTEN]

    def are_gone(self):
        _, alive = psutil.wait_procs(self.processes, timeout=600)
        return not alive and not Path(self.scratch).exists()


def of(process, what):
    """A property of a process; None if it has ended."""
    with contextlib.suppress(psutil.Error):
        return getattr(process, what)()
    return []


@pytest.fixture(scope="module")
def two_networks(toy, toy_config, toy_run, tmp_path_factory):
    """An ensemble, whose folder has folders: workers get every file of it."""
    folder = tmp_path_factory.mktemp("two")
    other = acceptor.train(toy, out=folder / "other", config=toy_config.model_copy(update={"seed": 8}))
    return acceptor.ensemble([toy_run.folder, other.folder], out=folder / "both").folder


def test_every_row_is_written_once_despite_a_stop_and_a_killed_worker(two_networks, files, tmp_path):
    out = tmp_path / "out.parquet"
    arguments = [two_networks, files.as_uri(), "-o", out, "--all-scores", "--ray", "local", "--workers"]

    process, below = start([*arguments, 1], out, 5)
    listening = below.listening()
    process.terminate()
    said = process.communicate(timeout=600)
    assert process.returncode == 143, said
    assert len(listening) >= 4
    assert set(listening) == {"127.0.0.1"}
    assert below.are_gone()
    assert not (out / MANIFEST).exists()
    noted = [one for save_progress in (out / DONE).iterdir() for one in json.loads(save_progress.read_bytes())["done"]]
    assert 0 < len(noted) < 60
    written = {one["name"]: (out / one["name"]).stat().st_mtime_ns for one in noted}

    process, below = start([*arguments, 2], out, len(parts(out)) + 5)
    victim, _ = below.judges()
    victim.send_signal(signal.SIGKILL)
    killed_at = len(parts(out))
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    assert killed_at < 75
    assert "1,282 rows in = 1,280 out + 2 rejected" in stdout
    assert re.match(r"file://.*/1.tsv: TSV with a header: sentence; passed over: id\n2 workers\n", stderr)
    assert "Traceback" not in stderr
    assert below.are_gone()

    names = [part_name(file, chunk) + ".parquet" for file in range(2) for chunk in range(41 if file == 0 else 40)]
    assert [path.name for path in parts(out)] == names
    assert sorted(path.name for path in out.iterdir() if path not in parts(out)) == [MANIFEST, "_rejected"]
    assert written.items() <= {path.name: path.stat().st_mtime_ns for path in parts(out)}.items()
    manifest = json.loads((out / MANIFEST).read_bytes())
    assert list(manifest["parts"]) == names
    counts = {"rows": 1282, "written": 1280, "left_out": 0, "rejected": 2, "judged": 1280, "unknown": 1280}
    assert manifest["counts"] == counts | {"truncated": 0}  # the numbers in the sentences are unknown

    predict_module.predict(two_networks, [str(files)], out=tmp_path / "alone.parquet", all_scores=True)
    alone = pl.read_parquet(tmp_path / "alone.parquet")
    together = pl.from_arrow(pyarrow.dataset.dataset(out).to_table())
    assert together.columns == alone.columns
    same = ["id", "sentence", "verdict"]
    assert together.select(same).equals(alone.select(same))
    numbers = alone.drop(same)
    np.testing.assert_allclose(together.select(numbers.columns).to_numpy(), numbers.to_numpy(), atol=1e-5)
    faults = "".join(path.read_text() for path in sorted((out / "_rejected").iterdir()))
    rejected = [json.loads(line) for line in faults.splitlines()]
    assert [(one["line"], one["problem"]) for one in rejected] == [
        (302, "a sentence is empty"),
        (303, "a row has the wrong number of columns"),
    ]
    assert all(one["file"].endswith("/1.tsv") for one in rejected)


def test_a_column_that_is_missing_in_the_second_file_is_an_error(toy_onnx, tmp_path):
    first, second, out = tmp_path / "1.csv", tmp_path / "2.csv", tmp_path / "out.csv"
    first.write_text("id,sentence\n" + "".join(f"{row},{text}\n" for row, text in enumerate(texts(40))))
    second.write_text("sentence\nthe girl sees.\n")
    arguments = [toy_onnx, first, second, "-o", out, "--ray", "local", "--workers", "1", "--json"]
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr
    error = json.loads(done.stdout)
    assert (error["error"], error["where"], error["found"]) == ("DataError", str(second), "sentence")
    assert error["problem"] == "a file has other columns than the first one"
    assert "Traceback" not in done.stderr
    assert not (out / MANIFEST).exists()


# ---------------------------------------------------------------------- without a cluster


def test_a_signal_keeps_its_exit_code_if_it_comes_while_ray_waits():
    """Ray's core replaces the exit of a handler by one with the code 1, in this way."""
    raylet = pytest.importorskip("ray._raylet")
    for message, code in (("sys.exit is called. Exit code: 143.", 143), ("The process receives a SIGTERM.", 1)):
        with pytest.raises(SystemExit) as ended, original_errors(sys.modules["ray"]):
            raylet.raise_sys_exit_with_custom_error_message(message, exit_code=1)
        assert ended.value.code == code


def test_an_exported_judge_is_sent_as_its_file(toy_run, tmp_path):
    source, judge = tmp_path / "in.tsv", acceptor.load(toy_run.folder, precision="fp32")
    file = acceptor.export(judge, tmp_path / "judge.onnx").path
    source.write_text("sentence\n" + "".join(f"{text}\n" for text in texts(40)))
    done = subprocess.run(command(file, source, "-o", tmp_path / "ray.parquet", "--ray", "local"), capture_output=True)
    assert done.returncode == 0, done.stderr
    predict_module.predict(file, [str(source)], out=tmp_path / "plain.parquet")
    assert len(parts(tmp_path / "ray.parquet")) == 3
    ours, theirs = pl.read_parquet(tmp_path / "plain.parquet"), pl.read_parquet(parts(tmp_path / "ray.parquet"))
    assert ours.equals(theirs)  # equal to the last bit, whatever else is in a batch


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        (["-o", "out.csv", "--ray", "local", "--shard", "1/2"], "E-USAGE-CONFLICT", "--shard 1/2"),
        (["-o", "-", "--ray", "local"], "E-USAGE-CONFLICT", "-o -"),
        (["--ray", "local"], "E-USAGE-OUTPUT", "-o FILE"),
        (["-o", "out.csv", "--workers", "2"], "E-USAGE-CONFLICT", "--ray local"),
        (["-o", "out.csv", "--ray", "ray://host:1"], "E-USAGE-OPTION", "ray://host:1"),
        (["-o", "out.csv", "--ray", "local", "--split-sentences", "en"], "E-USAGE-CONFLICT", "--split-sentences en"),
        (["-o", "out", "--ray", "local"], "E-USAGE-OUTPUT", ".parquet"),
        (["-o", "out.csv", "--ray", "local", "--where", "probabilty > 0"], "E-USAGE-CONDITION", "'probability'"),
        (["-o", "nofs://out.csv", "--ray", "local"], "E-USAGE-ADDRESS", "nofs://out.csv"),
    ],
)
def test_options_that_exclude_ray_are_refused(toy_run, files, run_cli, monkeypatch, tmp_path, words, code, found):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    exit_code, _, err = run_cli("predict", toy_run.folder, files / "1.tsv", *words)
    assert (exit_code, f"code:     {code}" in err, found in err) == (2, True, True), err
    assert list(tmp_path.iterdir()) == []


def test_standard_input_is_refused(toy_run, run_cli, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    code, _, err = run_cli("predict", toy_run.folder, "-", "-o", "out.csv", "--ray", "local")
    assert (code, "code:     E-USAGE-INPUT" in err) == (2, True)


def test_without_ray_the_error_names_the_extra(toy_run, files, tmp_path):
    code = "import sys; sys.modules['ray'] = None\nfrom acceptor.cli.app import main; main()"
    arguments = ["predict", str(toy_run.folder), str(files), "-o", str(tmp_path / "out.csv"), "--ray", "local"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "code:     E-USAGE-EXTRA" in done.stderr
    assert "pip install 'acceptor[ray]'" in done.stderr


def test_addresses_folders_and_patterns_give_their_files(tmp_path):
    for name in ("b%c.tsv", "a.jsonl.gz", "notes.md", ".hidden.tsv"):
        (tmp_path / name).write_text(name)
    found = found_files([tmp_path.as_uri() + "/", f"{tmp_path.as_uri()}/*.tsv", str(tmp_path / "notes.md")])
    assert [Path(one.origin).name for one in found] == ["a.jsonl.gz", "b%c.tsv", ".hidden.tsv", "b%c.tsv", "notes.md"]
    assert found[1].address == (tmp_path / "b%c.tsv").as_uri()
    assert (found[1].size, found[1].changed) == (7, (tmp_path / "b%c.tsv").stat().st_mtime_ns)
    for nothing in ("nowhere.tsv", f"{tmp_path.as_uri()}/*.csv", "file:///nowhere/*.tsv"):
        with raises(DataError, "E-DATA-MISSING", where=nothing):
            found_files([nothing])


def chunk_rows(file, names, rows=16, done=()):
    task = Task(names, "", ".csv", PredictSettings(), rows, None, None)
    item = {"file": 3, "address": address_of(file), "origin": str(file), "done": list(done)}
    return [row for table in read_chunks(pa.Table.from_pylist([item]), task) for row in table.to_pylist()]


@pytest.mark.parametrize("done", [[], [0, 3], [40], range(41)])
def test_a_file_is_read_in_chunks_without_those_that_are_done(files, done):
    rows = chunk_rows(files / "1.tsv", ["id", "sentence"], done=done)
    assert [row["chunk"] for row in rows] == [chunk for chunk in range(41) if chunk not in done]
    assert [row["chunk"] for row in rows if row["last"]] == ([] if 40 in done else [40])
    table = read_table(files / "2.jsonl").frame
    rows = chunk_rows(files / "2.jsonl", ["sentence", "id"], rows=300)
    frames = pl.concat(pl.read_ipc_stream(row["frame"]) for row in rows)
    assert frames.equals(table.select("sentence", "id"))
    assert sum(row["stored"] for row in rows) == (files / "2.jsonl").stat().st_size


@pytest.mark.parametrize("name", ["in.parquet", "in.arrow", "in.tsv.gz", "in.jsonl.zst"])
def test_every_format_is_read_through_an_address(tmp_path, name):
    frame = pl.DataFrame({"sentence": texts(50), "n": [str(row) for row in range(50)]})
    file = tmp_path / name
    if file.suffix in (".parquet", ".arrow"):
        (frame.write_parquet if file.suffix == ".parquet" else frame.write_ipc)(file)
    elif file.suffix == ".gz":
        file.write_bytes(gzip.compress(frame.write_csv(separator="\t").encode()))
    else:
        file.write_bytes(zstandard.compress(frame.write_ndjson().encode()))
    rows = chunk_rows(file, ["n", "sentence"])
    assert [row["chunk"] for row in rows] == [0, 1, 2, 3]
    assert sum(row["rows"] for row in rows) == 50
    frames = pl.concat(pl.read_ipc_stream(row["frame"]) for row in rows)
    assert frames.equals(frame.select("n", "sentence"))


@pytest.mark.parametrize(("name", "kind"), [("in.json", pl.String()), ("in.parquet", pl.Int64())])
def test_only_a_file_that_says_its_types_decides_them_by_its_first_rows(toy_run, tmp_path, name, kind):
    file, frame = tmp_path / name, pl.DataFrame({"sentence": texts(3), "n": [1, 2, 3]})
    if name == "in.json":
        file.write_text(json.dumps(frame.to_dicts()))
    else:
        frame.write_parquet(file)
    [found] = found_files([str(file)])
    _, _, kinds = _columns(found, PredictSettings(), ".parquet", toy_run.judge)
    assert kinds["n"] == kind


def test_equal_sentences_of_a_chunk_are_judged_once(toy_run, tmp_path, monkeypatch):
    seen, logits_of = [], Judge.logits_of
    monkeypatch.setattr(Judge, "logits_of", lambda self, ids, *_: seen.append(len(ids)) or logits_of(self, ids))
    frame = pl.DataFrame({"sentence": ["the cats", "a girl", "the cats", "see", "a girl"], "n": [0, 1, 2, 3, 4]})
    frame.write_parquet(tmp_path / "in.parquet")
    columns = ["sentence", "n"]
    settings = PredictSettings(all_scores=True)
    task = Task(columns, address_of(tmp_path / "out.parquet"), ".parquet", settings, 16, None, None)
    actor = JudgeActor(task, [])
    actor.judge = toy_run.judge
    item = {"file": 0, "address": address_of(tmp_path / "in.parquet"), "origin": "in.parquet", "done": [-1]}
    [chunk] = read_chunks(pa.Table.from_pylist([item]), task)
    [done] = actor(chunk).to_pylist()
    assert (seen, done["judged"], done["written"]) == ([3], 3, 5)
    found = pl.read_parquet(tmp_path / "out.parquet" / done["name"])
    np.testing.assert_allclose(
        found.select(pl.col("^logit.*$")).to_numpy(), toy_run.judge.logits(frame["sentence"].to_list()), atol=1e-5
    )


# ---------------------------------------------------------------------- the folder of parts

TALLY = {"rows": 2, "written": 1, "left_out": 1, "rejected": 0, "judged": 2, "unknown": 0, "truncated": 0}


def written(output, file, chunk, *, last=False, content=b"abc"):
    name = part_name(file, chunk) + ".csv"
    output.folder.write(name, content)
    output.add(
        {"file": file, "chunk": chunk, "last": last, "name": name, "bytes": 3, "sha256": "", "computing": "x"} | TALLY
    )


@pytest.fixture
def started(tmp_path):
    (tmp_path / "out put%").mkdir()
    output = Output(OutputFolder(tmp_path / "out put%" / "out.csv"))
    output.begin({"input": 1}, overwrite=False)
    return output


def resumed(output, plan=None, *, overwrite=False):
    again = Output(output.folder)
    again.begin(plan or {"input": 1}, overwrite=overwrite)
    return again


def test_it_is_complete_when_every_chunk_of_every_file_exists(started):
    written(started, 1, 0, last=True)
    written(started, 0, 1, last=True)
    with raises(RunError, "E-RUN-PARTS", found="parts of file 1", next="same command"):
        started.finish(2)
    again = resumed(started)
    assert again.unfinished(3) == {0: [1], 2: []}
    written(again, 0, 0)
    (again.folder.path / ".part-000000-000000.csv.0123").write_text("half")
    assert again.finish(2) == {name: 3 * count for name, count in TALLY.items()}
    names = [MANIFEST, "part-000000-000000.csv", "part-000000-000001.csv", "part-000001-000000.csv"]
    assert sorted(path.name for path in again.folder.path.iterdir()) == names


def test_parts_that_changed_are_made_again(started):
    written(started, 0, 0)
    written(started, 0, 1, last=True)
    (started.folder.path / "part-000000-000001.csv").write_text("ab")
    with raises(RunError, "E-RUN-PARTS", found="part-000000-000001.csv"):
        started.finish(1)
    assert resumed(started).unfinished(1) == {0: [0]}


def test_a_record_that_was_cut_short_is_made_again(started, caplog):
    """Where a file is visible while it is written, a driver that is killed leaves one."""
    written(started, 0, 0)
    started.save_progress()
    written(started, 0, 1, last=True)
    started.save_progress()
    record = started.folder.path / DONE / "000001.json"
    record.write_text(record.read_text()[:9])
    assert resumed(started).unfinished(1) == {0: [0]}
    assert "000001.json cannot be read" in caplog.text
    (started.folder.path / PLAN).write_text('{"a"')
    with raises(UsageError, "E-USAGE-OUTPUT"):
        resumed(started)
    assert resumed(started, overwrite=True).unfinished(1) == {0: []}


def test_an_output_with_another_plan_is_not_continued(started):
    written(started, 0, 0, last=True)
    started.save_progress()
    (started.folder.path / "mine.txt").write_text("mine")
    with raises(UsageError, "E-USAGE-CHANGED", problem=f"{started.folder.path} was", found="other input"):
        resumed(started, {"input": 2})
    assert resumed(started, overwrite=True).unfinished(1) == {}
    assert resumed(started, {"input": 2}, overwrite=True).unfinished(1) == {0: []}
    assert sorted(path.name for path in started.folder.path.iterdir()) == [PLAN, "mine.txt"]


def test_a_finished_output_is_replaced_only_with_overwrite(started):
    written(started, 0, 0, last=True)
    started.finish(1)
    with raises(UsageError, "E-USAGE-OUTPUT", problem=f"{started.folder.path} exists"):
        resumed(started)
    assert resumed(started, overwrite=True).unfinished(1) == {0: []}


def test_errors_of_a_folder_on_this_machine_name_its_path(tmp_path):
    """Not its address, in which a blank is %20: also in a worker, which has only the address."""
    (tmp_path / "a file").write_text("mine")
    for folder in (OutputFolder(tmp_path / "a file"), OutputFolder(address_of(tmp_path / "a file"))):
        with raises(ResourceError, "E-RESOURCE-WRITE", where=f"{tmp_path / 'a file'}/x"):
            folder.write("x", b"")
        with raises(UsageError, "E-USAGE-OUTPUT", problem=f"{tmp_path / 'a file'} is a file", expected="folder"):
            Output(folder).begin({"input": 1}, overwrite=True)
    assert (tmp_path / "a file").read_text() == "mine"


def test_an_address_at_which_nothing_answers_is_an_error_at_once(monkeypatch):
    """Ray itself would try for minutes."""

    def refused(address, timeout):
        assert (address, timeout > 0) == (("head.example", 6379), True)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.create_connection", refused)
    ray = SimpleNamespace(shutdown=lambda: None, init=lambda **_: pytest.fail("Ray was asked"))
    with (
        raises(ResourceError, "E-RESOURCE-CLUSTER", problem="'head.example:6379'", cause="refused", next="ray status"),
        connected(ray, "head.example:6379", None, 0),
    ):
        pytest.fail("it is connected")


# ---------------------------------------------------------------------- the page


def test_the_numbers_of_the_crawl_follow_from_its_inputs():
    page = (REPOSITORY / "docs" / "en" / "reference" / "crawl.md").read_text("utf-8")
    blocks = dict(re.findall("^```([a-z]+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    command = [sys.executable, "-W", "error", "-c", blocks["python"]]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == blocks["text"]
    for name, figures in {"LEADERBOARD.md": (2832, 4662), "corpus.md": (128_613, 405_034)}.items():
        record = (REPOSITORY / "records" / name).read_text("utf-8")
        for figure in figures:
            assert f"{figure:,}" in record
            assert f"{figure:,}" in page
