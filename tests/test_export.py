"""Exported judges: they give the run's results, in every architecture; other files are refused."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import random
import resource
import shutil
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from onnx import TensorProto, helper
from onnxruntime import InferenceSession

import acceptor
from acceptor.cli import render as terminal
from acceptor.exporting import export as exporting
from acceptor.exporting import quantize as quantizing
from acceptor.exporting import verify
from acceptor.judging.decision import Decision
from acceptor.model import onnx as onnx_files
from acceptor.model.classifier import longest_input, new_classifier
from acceptor.model.onnx import MAX_BYTES, SHA256, TRAINED_ON, _metadata, seal
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.runtime.device import choose_runtime
from acceptor.storage.manifest import file_sha256
from conftest import raises, toy_rows
from tiny import ARCHITECTURES, TEXTS, make_encoder

SENTENCES = [*TEXTS[:6], "", "the Zebra " * 200, "cat"]
SENTENCES[6] = "The [SEP] cat <pad> slept."
SECONDS = SENTENCES[::-1]


def untrained(architecture, folder):
    """A judge with 514 positions, and weights large enough that every layer changes its input."""
    made = make_encoder(folder / architecture, architecture, initializer_range=0.4, max_position_embeddings=514)
    encoder = find_encoder(str(made))
    model, tokenizer = new_classifier(encoder, ("no", "yes"), seed=1).eval(), load_tokenizer(encoder.folder)
    tokenizer.model_max_length = 512
    longest = longest_input(model.config, tokenizer)
    return acceptor.Judge(model, tokenizer, ("no", "yes"), longest, choose_runtime("cpu", "fp32"), {"name": "tiny"})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_the_same_logits(architecture, tmp_path):
    judge = untrained(architecture, tmp_path)
    assert judge.max_length == 512
    found = acceptor.export(judge, tmp_path / "judge.onnx")
    assert found.largest_change < 1e-5
    assert max(rows for rows, _ in verify.SHAPES) == 64
    assert max(longest for _, longest in verify.SHAPES) == 512
    other = acceptor.load(found.path)
    np.testing.assert_allclose(other.logits(SENTENCES), judge.logits(SENTENCES), atol=1e-5)
    if "token_type_ids" in other.model.inputs or "token_type_ids" not in judge.tokenizer.model_input_names:
        np.testing.assert_allclose(other.logits(SENTENCES, SECONDS), judge.logits(SENTENCES, SECONDS), atol=1e-5)


@pytest.fixture(scope="module")
def exported(toy_run, toy, tmp_path_factory):
    """The toy run as a file, with another decision."""
    decision = Decision(1.5, 0.4)
    judge = dataclasses.replace(acceptor.load(toy_run.folder), decision=decision)
    return acceptor.export(judge, tmp_path_factory.mktemp("exports") / "toy.onnx", verify=toy.test)


def test_the_file_contains_the_whole_judge(exported, toy_run, toy):
    judge, run = acceptor.load(exported.path), acceptor.load(toy_run.folder)
    assert judge.decision == Decision(1.5, 0.4)
    assert judge.labels == run.labels
    assert judge.max_length == run.max_length
    assert judge.encoder == run.encoder
    assert judge.selected_on == run.selected_on
    np.testing.assert_array_equal(judge.trained_on, run.trained_on)
    report = acceptor.evaluate(judge, toy.test)
    assert report.leaks == acceptor.evaluate(run, toy.test).leaks
    assert "trained_on" not in judge.to_dict()
    assert repr(judge) == repr(run)


def test_the_file_does_not_name_the_machine_that_made_it(exported):
    data = exported.path.read_bytes()
    assert b".py" not in data
    assert b"stack_trace" not in data


def test_the_manifest_holds_the_comparison(exported, toy):
    told = json.loads((exported.path.parent / "toy.onnx.json").read_text())
    assert told["sha256"] == file_sha256(exported.path) == exported.sha256
    assert told["bytes"] == exported.path.stat().st_size
    assert told["inputs"] == sum(rows for rows, _ in verify.SHAPES) + len(toy.test)
    assert told["flips"] == 0
    assert told["comparison"]["n"] == len(toy.test)
    assert told["comparison"]["name"] == "toy.onnx"
    assert told["largest_change"] < 1e-4
    assert "onnxruntime" in told["versions"]


def test_the_terminal_shows_the_comparison(exported, toy):
    *_, told, _ = terminal.export_text(exported, sentence="a")
    assert told.startswith(f"0 of {len(toy.test)} verdicts flipped; MCC ")
    selected = dataclasses.replace(exported.comparison, selected=True)
    *_, told, _ = terminal.export_text(dataclasses.replace(exported, comparison=selected), sentence="a")
    assert "too good" in told


@pytest.fixture
def sentences(tmp_path):
    path = tmp_path / "in.tsv"
    path.write_text("sentence\tid\n" + "".join(f"{text}\t{row}\n" for row, (text, _) in enumerate(toy_rows(100, 5))))
    return path


def test_every_command_accepts_an_exported_judge(run_cli, toy_run, sentences, tmp_path):
    file = tmp_path / "judge.onnx"
    code, stdout, _ = run_cli("export", toy_run.folder, "-o", file)
    assert code == 0
    assert "acceptor judge" in stdout
    for run, out in ((toy_run.folder, "run.parquet"), (file, "file.parquet")):
        assert run_cli("predict", run, sentences, "-o", tmp_path / out)[0] == 0
    ours, theirs = (pl.read_parquet(tmp_path / name) for name in ("run.parquet", "file.parquet"))
    assert ours.drop("probability", "margin").equals(theirs.drop("probability", "margin"))
    np.testing.assert_allclose(ours["probability"], theirs["probability"], atol=1e-5)
    labelled = tmp_path / "gold.tsv"
    labelled.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in toy_rows(60, 3)))
    scores = [json.loads(run_cli("evaluate", run, labelled, "--json")[1]) for run in (toy_run.folder, file)]
    assert scores[0]["confusion"] == scores[1]["confusion"]
    assert scores[0]["leaked"] == scores[1]["leaked"]
    told = [run_cli("judge", run, "the cats sleep.")[1] for run in (toy_run.folder, file)]
    assert told[0] == told[1]


def test_predict_continues_only_with_the_same_file(run_cli, exported, toy_run, sentences, tmp_path):
    file, out = tmp_path / "judge.onnx", tmp_path / "out.tsv"
    shutil.copy(exported.path, file)
    assert run_cli("predict", file, sentences, "-o", out, "--shard", "1/2")[0] == 0
    shutil.copy(file, tmp_path / "renamed.onnx")
    assert run_cli("predict", tmp_path / "renamed.onnx", sentences, "-o", out, "--shard", "2/2")[0] == 0
    acceptor.export(acceptor.load(toy_run.folder, precision="fp32"), file, overwrite=True)  # another decision
    code, _, stderr = run_cli("predict", file, sentences, "-o", out)
    assert code == 2
    assert "code:     E-USAGE-CHANGED" in stderr


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"precision": "bf16"}, "precision bf16"),
        ({"precision": "int8"}, "precision int8"),
        ({"device": "cuda"}, "device cuda"),
    ],
)
def test_a_file_computes_as_it_was_exported(exported, options, found):
    with raises(acceptor.UsageError, "E-USAGE-DEVICE", problem=("fp32", "CPU"), found=found):
        acceptor.load(exported.path, **options)
    assert acceptor.load(exported.path, precision="fp32", device="cpu").runtime.precision == "fp32"


def test_an_exported_judge_is_not_exported_or_saved_again(exported, tmp_path):
    judge = acceptor.load(exported.path)
    with raises(acceptor.UsageError, "E-USAGE-JUDGE", found=repr(judge)):
        acceptor.export(judge, tmp_path / "again.onnx")
    with raises(acceptor.UsageError, "E-USAGE-JUDGE", next=str(exported.path)):
        judge.save(tmp_path)


def test_an_exported_judge_explains_by_occlusion_not_by_gradients(exported, run_cli):
    code, stdout, _ = run_cli("judge", exported.path, "the cats sleep.", "--why", "occlusion")
    assert code == 0
    assert "cats" in stdout
    code, _, stderr = run_cli("judge", exported.path, "the cats sleep.", "--why", "gradients")
    assert code == 2
    assert "occlusion" in stderr


# ── differences ──────────────────────────────────────────────────────────────────────────────────────────


def nothing_in(folder):
    return not list(folder.iterdir())


def test_a_network_that_computes_something_else_is_not_written(toy_run, tmp_path, monkeypatch):
    judge = acceptor.load(toy_run.folder, precision="fp32")
    exact = exporting._network

    def shifted(judge):
        proto = onnx.load_model_from_string(exact(judge))
        [bias] = [tensor for tensor in proto.graph.initializer if tensor.name.endswith("classifier.bias")]
        moved = onnx.numpy_helper.to_array(bias) + np.float32(2e-4)
        bias.CopyFrom(onnx.numpy_helper.from_array(moved, bias.name))
        return proto.SerializeToString()

    monkeypatch.setattr(exporting, "_network", shifted)
    with raises(acceptor.RunError, "E-RUN-EXPORT", expected="0.0001", found="0.0002"):
        acceptor.export(judge, tmp_path / "judge.onnx")
    assert nothing_in(tmp_path)


def test_fp32_is_verified_on_few_sentences_of_any_name(toy_run, toy, tmp_path):
    judge = acceptor.load(toy_run.folder, precision="fp32")
    found = acceptor.export(judge, tmp_path / "judge.onnx", verify=toy.test.take(range(5), "short"))
    assert (found.flips, found.comparison) == (0, None)


def test_int8_needs_sentences_and_stays_within_chance(toy_run, toy, tmp_path, monkeypatch):
    judge = acceptor.load(toy_run.folder, precision="fp32")
    with raises(acceptor.UsageError, "E-USAGE-OPTION", next="--verify DATA"):
        acceptor.export(judge, tmp_path / "judge.onnx", precision="int8")
    found = acceptor.export(judge, tmp_path / "judge.onnx", precision="int8", verify=toy.test)
    assert found.comparison.p > 0.05
    assert found.bytes < acceptor.export(judge, tmp_path / "fp32.onnx").bytes
    other = acceptor.load(found.path)
    assert other.runtime.precision == "int8"
    assert not np.array_equal(other.logits(SENTENCES), judge.logits(SENTENCES))
    alone = np.concatenate([other.logits([sentence]) for sentence in SENTENCES])
    np.testing.assert_array_equal(alone, other.logits(SENTENCES))  # whatever shares its batch


def test_logits_that_are_not_finite_are_refused(exported):
    found = dataclasses.replace(exported, precision="int8")
    verify.refuse_difference(found)
    for score in (np.float32([[0, np.nan]]), np.float32([[0, np.inf]])):
        for pair in ((score, np.zeros_like(score)), (np.zeros_like(score), score), (score, score)):
            assert verify._largest_difference(*pair) == math.inf
    with raises(acceptor.RunError, "E-RUN-EXPORT", expected="finite logits"):
        verify.refuse_difference(dataclasses.replace(found, largest_change=math.inf))


@pytest.fixture
def quick(exported, toy_run, monkeypatch):
    """Exports the toy run without waiting for torch's exporter."""
    proto = onnx.load_model_from_string(exported.path.read_bytes())
    del proto.metadata_props[:]
    network, judge = proto.SerializeToString(), acceptor.load(toy_run.folder, precision="fp32")
    monkeypatch.setattr(exporting, "_network", lambda _: network)
    return functools.partial(acceptor.export, judge)


@pytest.mark.parametrize(("factor", "problem"), [(-1, "lower"), (0, "not defined")])
def test_int8_that_judges_worse_is_not_written(factor, problem, quick, toy, tmp_path, monkeypatch):
    def turned(network):
        proto = onnx.load_model_from_string(network)
        for tensor in proto.graph.initializer:
            if "classifier" in tensor.name:
                array = onnx.numpy_helper.to_array(tensor) * np.float32(factor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
        return proto.SerializeToString()

    monkeypatch.setattr(quantizing, "quantize", turned)
    with raises(acceptor.RunError, "E-RUN-EXPORT", problem=("MCC", problem), found="verdicts flipped"):
        quick(tmp_path / "judge.onnx", precision="int8", verify=toy.test)
    assert nothing_in(tmp_path)


@pytest.mark.parametrize("name", ["judge.html", "judge.HTML"])
def test_a_page_is_refused_before_the_export_where_a_folder_is(toy_run, tmp_path, run_cli, monkeypatch, name):
    monkeypatch.setattr(exporting, "_network", lambda _: pytest.fail("the network was exported"))
    (tmp_path / name).mkdir()
    out = ("-o", tmp_path / name, "--precision", "fp32", "--overwrite", "--runtime", tmp_path)
    code, _, stderr = run_cli("export", toy_run.folder, *out)
    assert code == 2
    assert f"{tmp_path / name} is a folder" in stderr


@pytest.mark.parametrize("name", ["judge.onnx", "judge"])
def test_a_runtime_of_a_page_is_refused_for_what_is_no_page(toy_run, tmp_path, run_cli, name):
    code, _, stderr = run_cli("export", toy_run.folder, "-o", tmp_path / name, "--runtime", tmp_path)
    assert (code, "E-USAGE-CONFLICT" in stderr, "leave --runtime out" in stderr) == (2, True, True)
    assert nothing_in(tmp_path)


def test_a_name_that_does_not_say_what_to_write_is_told_all_that_do(toy_run, tmp_path, run_cli):
    code, _, stderr = run_cli("export", toy_run.folder, "-o", tmp_path / "judge.tar")
    assert (code, "E-USAGE-OUTPUT" in stderr) == (2, True)
    assert all(name in stderr for name in ("judge.onnx", "judge/", "judge.html"))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_is_an_error_and_leaves_nothing(quick, tmp_path, monkeypatch):
    limits, write = resource.getrlimit(resource.RLIMIT_FSIZE), exporting.write_export_file

    def limit(most):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))

    def write_little(*arguments):
        limit(100)
        write(*arguments)

    for most, writing in ((5000, write), (limits[0], write_little)):  # in the file; in its manifest
        monkeypatch.setattr(exporting, "write_export_file", writing)
        limit(most)
        try:
            with raises(acceptor.ResourceError, "E-RESOURCE-DISK", where=str(tmp_path), next="free some room"):
                quick(tmp_path / "judge.onnx")
        finally:
            limit(limits[0])
        assert nothing_in(tmp_path)


def test_a_network_that_cannot_be_exported_is_an_error(toy_run, tmp_path):
    class Choosing(torch.nn.Module):
        def forward(self, input_ids, attention_mask):
            return input_ids if input_ids.sum() > 3 else attention_mask

    judge = dataclasses.replace(acceptor.load(toy_run.folder, precision="fp32"), model=Choosing())
    with raises(acceptor.RunError, "E-RUN-EXPORT", problem="torch"):
        acceptor.export(judge, tmp_path / "judge.onnx")
    assert nothing_in(tmp_path)


def test_files_of_a_killed_export_are_removed_by_the_next(quick, tmp_path):
    left = tmp_path / ".judge.onnx.0123abcd.part"
    left.mkdir()
    (left / "judge.onnx").write_bytes(b"half")
    quick(tmp_path / "judge.onnx")
    assert names_in(tmp_path) == ["judge.onnx", "judge.onnx.json"]


def test_a_file_is_never_beside_the_manifest_of_another(quick, tmp_path, monkeypatch):
    file, replace, done = quick(tmp_path / "judge.onnx").path, Path.replace, []

    def replace_once(self, target):
        if done:
            raise KeyboardInterrupt
        done.append(replace(self, target))

    monkeypatch.setattr(Path, "replace", replace_once)
    with pytest.raises(KeyboardInterrupt):
        quick(file, overwrite=True)
    assert names_in(tmp_path) == ["judge.onnx"]


def test_a_network_too_large_for_protocol_buffers_is_refused_first(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "MAX_BYTES", 1000)
    with raises(acceptor.UsageError, "E-USAGE-JUDGE", expected="1,000 bytes"):
        quick(tmp_path / "judge.onnx")


def test_outputs_that_cannot_be_written_are_refused(toy_run, exported, tmp_path):
    judge = acceptor.load(toy_run.folder)
    (tmp_path / "taken.onnx.json").write_text("mine")
    (tmp_path / "folder.onnx").mkdir()
    for out, options, fields in (
        (tmp_path / "judge.bin", {}, {"expected": ".onnx", "found": "judge.bin"}),
        (exported.path, {}, {"problem": str(exported.path), "next": "--overwrite"}),
        (tmp_path / "taken.onnx", {}, {"problem": "taken.onnx.json", "next": "--overwrite"}),
        (tmp_path / "folder.onnx", {"overwrite": True}, {"problem": "folder.onnx"}),
    ):
        with raises(acceptor.UsageError, "E-USAGE-OUTPUT", **fields):
            acceptor.export(judge, out, **options)
    with raises(acceptor.UsageError, "E-USAGE-OPTION", problem="int4", expected="fp32 or int8"):
        acceptor.export(judge, tmp_path / "judge.onnx", precision="int4")
    for name in ("no/judge.onnx", "taken.onnx.json/judge.onnx", "x" * 300 + ".onnx"):
        with raises(acceptor.ResourceError, "E-RESOURCE-WRITE", problem=str(tmp_path / name)):
            acceptor.export(judge, tmp_path / name)


def test_a_table_that_is_a_matrix_too_is_rounded_in_two_ways(monkeypatch):
    monkeypatch.setattr(quantizing, "MANY_ROWS", 10)
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(32, 32)) * np.linspace(0.1, 5, 32)[:, None]).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "table"], ["y"]),
    ]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [32])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [32, 32]) for name in ("rows", "y")]
    graph = helper.make_graph(nodes, "graph", [ids], outputs, [onnx.numpy_helper.from_array(table, "table")])
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    given = {"ids": np.arange(32)}
    exact, rounded = (
        InferenceSession(one, providers=["CPUExecutionProvider"]).run(None, given)
        for one in (network, quantizing.quantize(network))
    )
    for ours, theirs in zip(rounded, exact, strict=True):
        assert 0 < np.abs(ours - theirs).max() < 0.03 * np.abs(theirs).max()


# ── untrusted files ────────────────────────────────────────────────────────────────────────


def test_every_flipped_bit_and_every_cut_is_detected(exported, tmp_path):
    data, file, rng = exported.path.read_bytes(), tmp_path / "judge.onnx", random.Random(1)
    for _ in range(100):
        at = rng.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        file.write_bytes(flipped)
        with pytest.raises((acceptor.RunError, acceptor.EncoderError)):
            acceptor.load(file)
    for size in (0, 1, *(rng.randrange(len(data)) for _ in range(20)), len(data) - 1):
        file.write_bytes(data[:size])
        with pytest.raises(acceptor.RunError):
            acceptor.load(file)


def tiny_model(*nodes, initializers=(), inputs=("input_ids", "attention_mask")):
    """An ONNX model of the given nodes, not exported by us."""
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "length"]) for name in inputs]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])
    graph = helper.make_graph(nodes, "graph", given, [output], list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="other")


def plain_nodes():
    return [
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["numbers", "from", "to", "axis"], ["logits"]),
    ]


def plain_weights():
    return [
        helper.make_tensor(name, TensorProto.INT64, [1], [at]) for name, at in (("from", 0), ("to", 2), ("axis", 1))
    ]


def sealed(proto, exported, **changes):
    """That model in a file like ours, with a correct sha256."""
    about = {
        **acceptor.load(exported.path).about(),
        "precision": "fp32",
        "pad_token_id": 0,
        "mask_token_id": None,
        "model_input_names": ["input_ids"],
        **changes,
    }
    tokenizer = acceptor.load(exported.path).tokenizer.backend_tokenizer.to_str()
    return seal(proto.SerializeToString(), json.dumps(about), tokenizer, None)


def test_a_file_of_another_program_is_refused(tmp_path):
    file = tmp_path / "judge.onnx"
    file.write_bytes(tiny_model(*plain_nodes(), initializers=plain_weights()).SerializeToString())
    with raises(acceptor.RunError, "E-RUN-FILE", found="other", next="acceptor export"):
        acceptor.load(file)


def test_a_sealed_file_may_hold_any_plain_network(exported, tmp_path):
    file = tmp_path / "judge.onnx"
    file.write_bytes(sealed(tiny_model(*plain_nodes(), initializers=plain_weights()), exported))
    assert acceptor.load(file).logits(["the cats sleep."]).shape == (1, 2)


def test_what_is_computed_is_what_was_checked(exported, tmp_path, monkeypatch):
    """The file may be replaced by another one right after that."""
    file, check = tmp_path / "judge.onnx", onnx_files._checked
    shutil.copy(exported.path, file)
    other = sealed(tiny_model(*plain_nodes(), initializers=plain_weights()), exported)

    def replaced(data, path):
        found = check(data, path)
        path.write_bytes(other)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(onnx_files, "_checked", replaced)
        judge = acceptor.load(file)
    assert file.read_bytes() == other
    np.testing.assert_array_equal(judge.logits(SENTENCES), acceptor.load(exported.path).logits(SENTENCES))
    assert judge.model.session._model_bytes is None  # else each judge has its file in memory as well


@pytest.mark.parametrize("kind", ["initializer", "constant", "sparse", "loop", "domain", "function", "inputs", "shape"])
def test_parts_that_no_judge_needs_are_refused(kind, exported, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 8)
    nodes, weights, says = plain_nodes(), plain_weights(), "such parts"
    proto = None
    elsewhere = TensorProto(name="from", data_type=TensorProto.INT64, dims=[1], data_location=TensorProto.EXTERNAL)
    elsewhere.external_data.add(key="location", value="../" + secret.name)
    if kind == "initializer":
        weights[0] = elsewhere
    elif kind == "constant":
        weights.pop(0)
        nodes.insert(0, helper.make_node("Constant", [], ["from"], value=elsewhere))
    elif kind == "sparse":  # with places of numbers in another file
        proto = tiny_model(*nodes, initializers=weights)
        proto.graph.sparse_initializer.add(values=weights[0], indices=elsewhere, dims=[1])
    elif kind == "loop":
        body = helper.make_graph([helper.make_node("Identity", ["go"], ["on"])], "body", [], [])
        nodes.append(helper.make_node("Loop", ["from", ""], [], body=body))
    elif kind == "domain":
        nodes.append(helper.make_node("Anything", ["numbers"], ["more"], domain="com.example"))
    elif kind == "function":
        proto = tiny_model(*nodes, initializers=weights)
        body = [helper.make_node("Neg", ["x"], ["y"])]
        proto.functions.append(helper.make_function("own", "F", ["x"], ["y"], body, [helper.make_opsetid("", 18)]))
    elif kind == "inputs":
        proto, says = tiny_model(*nodes, initializers=weights, inputs=("input_ids", "attention_mask", "more")), "more"
    else:
        weights[1], says = helper.make_tensor("to", TensorProto.INT64, [1], [3]), "of shape"
    file = tmp_path / "judge.onnx"
    file.write_bytes(sealed(proto or tiny_model(*nodes, initializers=weights), exported))
    with raises(acceptor.RunError, "E-RUN-FILE", cause=says):
        acceptor.load(file)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["one"]},
        {"labels": ["a", "b", "c"]},
        {"precision": "fp64"},
        {"max_length": -1},
        {"threshold": 3.0},
        {"labels": 2},
        {"pad_token_id": "0"},
        {"pad_token_id": 10**30},
        {"mask_token_id": 10**6},
        {"encoder": None},
    ],
)
def test_damaged_metadata_is_refused(changes, exported, tmp_path):
    file = tmp_path / "judge.onnx"
    file.write_bytes(sealed(tiny_model(*plain_nodes(), initializers=plain_weights()), exported, **changes))
    with pytest.raises((acceptor.RunError, acceptor.EncoderError)):
        acceptor.load(file)


@pytest.mark.parametrize("fingerprints", ["a", "ä", "AAAA", "AAAA*AAAAAAA="])
def test_impossible_fingerprints_are_refused(fingerprints, exported, tmp_path):
    data, file = exported.path.read_bytes(), tmp_path / "judge.onnx"
    proto = onnx.load_model_from_string(data)
    texts = {entry.key: entry.value for entry in proto.metadata_props} | {TRAINED_ON: fingerprints}
    del texts[SHA256], proto.metadata_props[:]
    file.write_bytes(sealed_with(proto.SerializeToString() + _metadata(texts)))
    with raises(acceptor.RunError, "E-RUN-FILE", cause="fingerprints of train"):
        acceptor.load(file)


def sealed_with(content):
    return content + _metadata({SHA256: hashlib.sha256(content).hexdigest()})


def test_names_and_metadata_that_are_not_text_are_refused(exported, tmp_path, capsys):
    data = sealed(tiny_model(*plain_nodes(), initializers=plain_weights()), exported)
    content, file = data[: -len(_metadata({SHA256: "0" * 64}))], tmp_path / "judge.onnx"
    file.write_bytes(sealed_with(content))
    assert acceptor.load(file).labels
    for name in (b"logits", b"numbers", b'"max_length"', b'"version"'):
        before, after = content.rsplit(name, 1)
        file.write_bytes(sealed_with(before + b"\xff" * len(name) + after))
        with raises(acceptor.RunError, "E-RUN-FILE", where="judge.onnx"):
            acceptor.load(file)
    assert capsys.readouterr().out == ""


def test_a_network_that_always_gives_two_rows_is_refused(exported, tmp_path):
    value, file = onnx.numpy_helper.from_array(np.ones((2, 2), np.float32)), tmp_path / "judge.onnx"
    file.write_bytes(sealed(tiny_model(helper.make_node("Constant", [], ["logits"], value=value)), exported))
    with raises(acceptor.RunError, "E-RUN-COMPUTE", cause="2 rows of output"):
        acceptor.load(file)(["the cats sleep."])


def test_paths_that_are_not_files(tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "memory.onnx").symlink_to("/proc/self/mem")  # its first byte cannot be read
    for name, code, found in (
        ("folder.onnx", "E-RUN-MISSING", "a folder"),
        ("missing.onnx", "E-RUN-MISSING", "no such file"),
        ("memory.onnx", "E-RUN-FILE", ""),
        ("x" * 300 + ".onnx", "E-RUN-MISSING", ""),
    ):
        with raises(acceptor.RunError, code, found=found):
            acceptor.load(tmp_path / name)
    large = tmp_path / "large.onnx"
    with large.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with raises(acceptor.RunError, "E-RUN-FILE", where=str(large), expected=f"{MAX_BYTES:,}"):
        acceptor.load(large)


def test_a_batch_that_cannot_be_computed_is_an_error(exported):
    judge = acceptor.load(exported.path)
    with raises(acceptor.RunError, "E-RUN-COMPUTE", where=str(exported.path), found="1 × 3 tokens"):
        judge.model.score({"input_ids": np.full((1, 3), 10**6), "attention_mask": np.ones((1, 3), np.int64)})
