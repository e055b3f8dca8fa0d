"""The compared methods of judging a file, each written as a user of its library would write it.

    python -m acceptor.bench.judging WAY RUN FILE OUT

reads the sentences of FILE (one per line), writes a label and a score for each to OUT.tsv and the logits to OUT.npy,
and prints one JSON object: the seconds from reading to writing, without loading the model and a first small batch.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.bench.training import QUIET
from acceptor.runtime.garbage import collect_rarely

Logits = npt.NDArray[np.float32]
Judging = Callable[[list[str]], Logits]

BATCH_SIZE = 32


def pipeline(run: str) -> Judging:
    """Transformers' pipeline in batches of 32, in the file's order."""
    from transformers import pipeline as make

    judge = make("text-classification", run, device="cpu", batch_size=BATCH_SIZE, top_k=None, function_to_apply="none")
    labels = [judge.model.config.id2label[index] for index in range(judge.model.config.num_labels)]

    def judging(sentences: list[str]) -> Logits:
        answers = judge(sentences)
        scores = [{answer["label"]: answer["score"] for answer in one} for one in answers]
        return np.array([[score[label] for label in labels] for score in scores], np.float32)

    return judging


def sorted_torch(run: str) -> Judging:
    """A plain loop over Transformers' model: sorted by length, batches of 32, bf16 autocast."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(run).eval()

    def batch(inputs: dict[str, Any]) -> Any:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            return model(**{name: torch.from_numpy(array) for name, array in inputs.items()}).logits.float().numpy()

    return _sorted(AutoTokenizer.from_pretrained(run), batch)


def ort_fp32(run: str) -> Judging:
    """ONNX Runtime, fp32, sorted by length, batches of 32."""
    return _onnxruntime(run, int8=False)


def ort_int8(run: str) -> Judging:
    """ONNX Runtime with its dynamic int8 quantisation, sorted by length, batches of 32."""
    return _onnxruntime(run, int8=True)


def openvino(run: str) -> Judging:
    """OpenVINO, sorted by length, batches of 32; its CPU plug-in chooses the precision itself."""
    from openvino import compile_model
    from transformers import AutoTokenizer

    compiled = compile_model(_onnx(run, int8=False), "CPU")
    return _sorted(AutoTokenizer.from_pretrained(run), lambda inputs: compiled(inputs)["logits"])


def _onnxruntime(run: str, *, int8: bool) -> Judging:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from onnxruntime import InferenceSession
    from transformers import AutoTokenizer

    session = InferenceSession(_onnx(run, int8=int8), providers=["CPUExecutionProvider"])
    return _sorted(AutoTokenizer.from_pretrained(run), lambda inputs: session.run(["logits"], inputs)[0])


def _onnx(run: str, *, int8: bool) -> str:
    """The path of the run's ONNX file beside the run; exported at the first call."""
    import torch
    from onnxruntime.quantization import quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    folder = Path(run).with_suffix(".onnx")
    full, small = folder / "fp32.onnx", folder / "int8.onnx"
    if not full.exists():
        folder.mkdir(exist_ok=True)
        model = AutoModelForSequenceClassification.from_pretrained(run, return_dict=False).eval()
        ids, mask = (
            torch.ones(2, 8, dtype=torch.int64),
            torch.ones(2, 8, dtype=torch.int64),
        )  # the same tensor twice would become one input
        rows, length = torch.export.Dim("rows", min=1, max=4096), torch.export.Dim("length", min=2, max=512)
        torch.onnx.export(
            model,
            (ids, mask),
            str(full),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=({0: rows, 1: length}, {0: rows, 1: length}),
            external_data=False,
            verbose=False,
            dynamo=True,
        )
        quantize_dynamic(full, small)
    return str(small if int8 else full)


def _sorted(tokenizer: Any, batch: Callable[[dict[str, Any]], Any]) -> Judging:
    """Tokenises all sentences, judges them sorted by length, and restores their order."""

    def judging(sentences: list[str]) -> Logits:
        ids = tokenizer(sentences, truncation=True, max_length=128)["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        logits: Logits | None = None
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            inputs = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="np")
            scores = batch({name: inputs[name] for name in ("input_ids", "attention_mask")})
            logits = np.empty((len(ids), scores.shape[1]), np.float32) if logits is None else logits
            logits[rows] = scores
        assert logits is not None  # noqa: S101 - there is at least one sentence
        return logits

    return judging


WAYS: dict[str, Callable[[str], Judging]] = {
    "pipeline": pipeline,
    "sorted_torch": sorted_torch,
    "ort_fp32": ort_fp32,
    "ort_int8": ort_int8,
    "openvino": openvino,
}
OURS = ("fp32", "lossless", "bf16", "int8")  # precisions of Acceptor's judge


def by_hand(way: str, run: str, file: Path, out: Path) -> float:
    """Judges the file with another library."""
    from transformers import AutoConfig

    names = AutoConfig.from_pretrained(run).id2label
    judging = WAYS[way](run)
    judging(file.read_text("utf-8").splitlines()[:64])
    started = time.perf_counter()
    sentences = file.read_text("utf-8").splitlines()
    logits = judging(sentences)
    with out.with_suffix(".tsv").open("w", encoding="utf-8") as stream:
        for sentence, row in zip(sentences, logits, strict=True):
            stream.write(f"{sentence}\t{names[int(row.argmax())]}\t{row.max():.4f}\n")
    seconds = time.perf_counter() - started
    np.save(out.with_suffix(".npy"), logits)
    return seconds


def by_acceptor(precision: str, run: str, file: Path, out: Path) -> float:
    """Judges the file with Acceptor: `read_table`, `judged_table` and `write_table`, with all columns."""
    from acceptor.data.reading.read import read_table
    from acceptor.data.writing.write import write_table
    from acceptor.judging.load import load
    from acceptor.judging.rows import judged_table

    judge = load(run, precision=precision)
    judge(file.read_text("utf-8").splitlines()[:64])
    started = time.perf_counter()
    frame = judged_table(judge, read_table(file), all_scores=True)
    write_table(frame, out.with_suffix(".tsv"))
    seconds = time.perf_counter() - started
    np.save(out.with_suffix(".npy"), frame.select(f"logit({label})" for label in judge.labels).to_numpy())
    return seconds


if __name__ == "__main__":
    os.environ.update(QUIET)
    way, run, file, out = sys.argv[1:]
    if way in OURS:
        collect_rarely()  # as our commands do
    judge_file = by_acceptor if way in OURS else by_hand
    sys.stdout.write("\n" + json.dumps(judge_file(way, run, Path(file), Path(out))) + "\n")
