"""The judge with mosec, as its documentation shows dynamic batching: `python mosec_server.py --port 8000`."""

from __future__ import annotations

from typing import Any

from mosec import Server, Worker
from onnx_judge import OnnxJudge


class Judging(Worker):
    """Judges the sentences of several requests at once."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = OnnxJudge()

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers of a batch of requests."""
        return self.judge.batch([one["sentences"] for one in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(Judging, num=1, max_batch_size=64, max_wait_time=10)
    server.run()
