"""What the servers of other libraries share: an exported judge with ONNX Runtime and tokenizers, written plainly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class OnnxJudge:
    """The judge in the file that ``JUDGE_ONNX`` names, with the tokenizer of the folder ``JUDGE_RUN``."""

    def __init__(self) -> None:
        self.session = onnxruntime.InferenceSession(os.environ["JUDGE_ONNX"], providers=["CPUExecutionProvider"])
        run = Path(os.environ["JUDGE_RUN"])
        about = json.loads((run / "judge.json").read_text("utf-8"))
        self.labels = about["labels"]
        self.tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(about["max_length"])
        self.inputs = {one.name for one in self.session.get_inputs()}

    def verdicts(self, sentences: list[str]) -> list[dict[str, Any]]:
        """A label and its probability for each sentence, computed as one batch."""
        encoded = self.tokenizer.encode_batch(sentences)
        arrays = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
        }
        (logits,) = self.session.run(None, {name: arrays[name] for name in self.inputs})
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        return [{"label": self.labels[int(row.argmax())], "probability": float(row.max())} for row in probabilities]

    def batch(self, requests: list[list[str]]) -> list[dict[str, Any]]:
        """The answers of several requests, computed as one batch."""
        verdicts = self.verdicts([sentence for sentences in requests for sentence in sentences])
        answers, start = [], 0
        for sentences in requests:
            answers.append({"verdicts": verdicts[start : start + len(sentences)]})
            start += len(sentences)
        return answers
