"""deploy/ray_serve.py on a real Ray Serve, in another process. It needs ray[serve], which no extra brings."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from conftest import REPOSITORY

GOOD, BAD = "the cats sleep.", "the cat them sleep."
KEY = "key-of-eight"
PROGRAM = """
import json, socket, sys, tempfile
import httpx, ray, yaml
from ray import serve
from ray.serve.schema import ServeDeploySchema

config = ServeDeploySchema(**yaml.safe_load(open(sys.argv[1])))  # refuses unknown fields
[application] = config.applications
[options] = application.deployments
with socket.socket() as trial:
    trial.bind(("127.0.0.1", 0))
    port = trial.getsockname()[1]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
from ray_serve import Acceptor, Arguments, build
assert application.import_path == "ray_serve:build" and options.name == Acceptor.name
serve.run(build(Arguments(judges={"toy": sys.argv[2]}, precision="fp32")), name="acceptor")
url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {sys.argv[3]}"}
answers = [
    httpx.post(f"{url}/v1/judge", json={"sentences": json.loads(sys.argv[4])}, headers=headers, timeout=120),
    httpx.post(f"{url}/v1/judge", json={"sentences": ["x"]}, timeout=120),
    httpx.post(f"{url}/v1/judge", json={"sentences": []}, headers=headers, timeout=120),
    httpx.post(f"{url}/admin/reload", headers=headers, timeout=120),
    httpx.get(f"{url}/metrics", headers=headers, timeout=120),
    httpx.get(f"{url}/health/ready", timeout=120),
]
with open("answers.json", "w") as file:  # Ray's own processes write to this one's output
    json.dump([[one.status_code, one.text] for one in answers], file)
ray.shutdown()
"""


@pytest.mark.real
def test_ray_serve_gives_the_judges_verdicts(toy_run, tmp_path):
    pytest.importorskip("ray.serve", reason="ray[serve] is not installed")
    path = os.pathsep.join(str(REPOSITORY / name) for name in ("src", "deploy"))
    environment = {"PYTHONPATH": path, "ACCEPTOR_API_KEY": KEY, "RAY_USAGE_STATS_ENABLED": "0"}
    arguments = [REPOSITORY / "deploy" / "ray_serve.yaml", toy_run.folder, KEY, json.dumps([GOOD, BAD])]
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-5000:]
    judged, without_key, empty, reload, counters, ready = json.loads((tmp_path / "answers.json").read_text())

    assert judged[0] == 200
    found = json.loads(judged[1])["verdicts"]
    wanted = toy_run.judge([GOOD, BAD])
    assert [one["label"] for one in found] == [one.label for one in wanted] == ["acceptable", "unacceptable"]
    assert [one["probability"] for one in found] == pytest.approx([one.probability for one in wanted], abs=1e-5)
    assert [one[0] for one in (without_key, empty, ready)] == [401, 422, 200]
    assert reload[0] == 404  # there is no parent process of ours that it could tell
    assert counters[0] == 200
    assert 'acceptor_sentences_total{model="toy"} 2.0' in counters[1]
