"""The judge with LitServe, as its documentation shows dynamic batching: `python litserve_server.py 8000`."""

from __future__ import annotations

import sys
from typing import Any

import litserve
from onnx_judge import OnnxJudge


class Judging(litserve.LitAPI):
    """Judges the sentences of several requests at once."""

    def setup(self, device: str) -> None:
        """Loads the judge in the worker."""
        self.judge = OnnxJudge()

    def decode_request(self, request) -> list[str]:  # type: ignore[no-untyped-def] # LitServe reads the annotation
        """The sentences of a request."""
        sentences: list[str] = request["sentences"]
        return sentences

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        """Requests as they are: they have different numbers of sentences."""
        return inputs

    def predict(self, inputs: list[list[str]]) -> list[dict[str, Any]]:
        """The answers of a batch of requests."""
        return self.judge.batch(inputs)

    def unbatch(self, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers as they are."""
        return outputs

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """An answer."""
        return output


if __name__ == "__main__":
    api = Judging(max_batch_size=64, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
