"""deploy/: its files are read, what they name exists, and the image's process runs as it would in a container."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import get_args

import httpx
import pytest
import yaml

import acceptor
import container
from acceptor.serve.app import OPERATIONS
from acceptor.serve.metrics import Outcome
from acceptor.serve.server import FILES_BESIDE_CONNECTIONS, threads_of_a_worker
from acceptor.serve.settings import ServeSettings
from conftest import REPOSITORY, options_of, wait_for
from served import serving

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

DEPLOY = REPOSITORY / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
SETTINGS = ServeSettings({"a": "a"})
PATHS = {one.path for one in OPERATIONS}


def documents(name):
    """The documents of a YAML file, also those that are comments."""
    text = (DEPLOY / name).read_text("utf-8")
    commented = re.search(r"^# apiVersion:.*", text, re.MULTILINE | re.DOTALL)
    more = re.sub(r"^# ?", "", commented[0], flags=re.MULTILINE) if commented else ""
    return [*yaml.safe_load_all(text), *yaml.safe_load_all(more)]


def every(found, key):
    """All values of a key, at any depth."""
    if isinstance(found, dict):
        yield from (value for name, value in found.items() if name == key)
        found = list(found.values())
    for one in found if isinstance(found, list) else ():
        yield from every(one, key)


def seconds(text):
    return int(str(text).removesuffix("s"))


def test_every_file_can_be_read():
    kinds = {".yaml": lambda text: list(yaml.safe_load_all(text)), ".json": json.loads}
    for path in FILES:
        if path.suffix in kinds:
            assert kinds[path.suffix](path.read_text("utf-8")), path.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_option_and_path_of_the_server_exists(path):
    text = path.read_text("utf-8")
    lines = [line for line in text.splitlines() if re.search(r"acceptor serve|args: \[|ENTRYPOINT|--drain", line)]
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(lines)):
        assert option in options_of("serve"), option
    known = {re.sub(r"\{\w+\}", "cola", one) for one in PATHS} | {"/v2/health"}  # with .* after it
    for found in re.findall(r"(?<![\w/*.])/(?:health|v1|v2|metrics)\b(?:/[a-z]+)*", text):
        assert found in known, found


def test_nobody_is_killed_before_the_servers_own_time_is_over():
    assert seconds(documents("compose.yaml")[0]["services"]["acceptor"]["stop_grace_period"]) > (
        SETTINGS.drain_delay + SETTINGS.drain_timeout
    )
    stop = re.search(r"^TimeoutStopSec=(\d+)", (DEPLOY / "acceptor.service").read_text(), re.MULTILINE)
    assert int(stop[1]) > SETTINGS.drain_delay + SETTINGS.drain_timeout
    for name in ("kubernetes.yaml", "kserve.yaml"):
        [grace] = every(documents(name), "terminationGracePeriodSeconds")
        [arguments] = every(documents(name), "args")
        given = dict(one.removeprefix("--").split("=") for one in arguments if one.startswith("--"))
        assert grace > int(given["drain-delay"]) + int(given["drain-timeout"])
    [ray] = every(documents("ray_serve.yaml"), "request_timeout_s")
    assert ray > SETTINGS.timeout


def test_the_unit_allows_the_threads_and_files_of_a_large_machine():
    text = (DEPLOY / "acceptor.service").read_text("utf-8")
    threads = 2 * 512 + 5  # of a worker with 512 cores, and all workers together have no more for computing
    assert int(re.search(r"^TasksMax=(\d+)", text, re.MULTILINE)[1]) > 2 * threads  # the old ones too at a reload
    files = SETTINGS.connections + FILES_BESIDE_CONNECTIONS
    assert int(re.search(r"^LimitNOFILE=(\d+)", text, re.MULTILINE)[1]) >= files


def test_workers_share_what_a_container_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert [threads_of_a_worker(workers) for workers in (1, 2, 10)] == [7, 3, 1]


def test_the_containers_of_kubernetes_may_write_only_to_tmp():
    for name in ("kubernetes.yaml", "kserve.yaml"):
        [[one]] = every(documents(name), "containers")
        threads = next(given["value"] for given in one["env"] if given["name"] == "OMP_NUM_THREADS")
        assert threads == one["resources"]["requests"]["cpu"]  # a node has more, and there is no limit that says so
        assert one["securityContext"]["readOnlyRootFilesystem"]
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"name": "tmp", "mountPath": "/tmp"} in one["volumeMounts"]
    [service] = documents("compose.yaml")[0]["services"].values()
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"][0].startswith("/tmp")


def test_every_counter_that_is_watched_is_a_counter_of_the_server(toy_onnx):
    watched = {
        "grafana.json": list(every(json.loads((DEPLOY / "grafana.json").read_text()), "expr")),
        "alerts.yaml": list(every(documents("alerts.yaml"), "expr")),
        "kubernetes.yaml": [one["name"] for one in every(documents("kubernetes.yaml"), "metric")],
    }
    with serving(toy_onnx) as server:
        assert httpx.post(f"{server.url}/v1/judge", json={"sentences": ["the cats sleep."]}).status_code == 200
        queued = "acceptor_queued_tokens"
        text = wait_for(lambda: queued in (found := httpx.get(f"{server.url}/metrics").text) and found)
    labels = {}
    for name, given in re.findall(r"^(acceptor_\w+)(?:\{(.*?)\})? ", text, re.MULTILINE):
        labels.setdefault(name, {"instance", "job"}).update(re.findall(r'(\w+)="', given))
    used = set()
    for file, expressions in watched.items():
        assert expressions
        for expression in expressions:
            if "up{" in expression:
                continue
            names = re.findall(r"acceptor_\w+", expression)
            assert names, f"{file}: {expression}"
            for name in names:
                assert name in labels, f"{file}: {name}"
            used |= set(names)
            asked = re.findall(r"(\w+)(?:=~|!~|=)\"", expression)
            asked += [label for group in re.findall(r"by \(([\w, ]+)\)", expression) for label in group.split(", ")]
            assert set(asked) <= labels[names[0]], f"{file}: {expression}"
            for outcomes in re.findall(r'outcome=~?"([\w|]+)"', expression):
                assert set(outcomes.split("|")) <= set(get_args(Outcome))
    assert {re.sub(r"_(sum|count|created)$", "_bucket", name) for name in labels} == used  # nothing is left unwatched


def test_systemd_accepts_the_unit(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed")
    text = (DEPLOY / "acceptor.service").read_text("utf-8")
    unit = tmp_path / "acceptor.service"
    assert "/opt/acceptor/bin/acceptor" in text
    unit.write_text(text.replace("/opt/acceptor/bin/acceptor", sys.executable), "utf-8")
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    unit.write_text(unit.read_text("utf-8").replace("ProtectSystem=strict", "ProtectSystem=stricter"), "utf-8")
    assert subprocess.run([analyze, "verify", unit], capture_output=True, text=True).stderr  # it does read values


@pytest.fixture
def image(tmp_path):
    """The image's environment: a wheel of what the Dockerfile copies, installed beside this environment's packages."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: make setup")
    source = tmp_path / "source"
    allowed = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    build, _ = container.instructions(DOCKERFILE)
    for name, rest in build:
        if name == "COPY":
            *names, target = rest.split()
            for one in names:
                assert f"!{one}" in allowed, f"{one} does not reach the build"
                to = source / target / (Path(one).name if target.endswith("/") else "")
                if (REPOSITORY / one).is_dir():
                    shutil.copytree(REPOSITORY / one, to, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(REPOSITORY / one, to)
    made = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "wheel"],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    place = tmp_path / "venv"
    venv.create(place, symlinks=True)
    [wheel] = (tmp_path / "wheel").iterdir()
    install = [sys.executable, "-m", "pip", "--python", place, "install", "--quiet", "--no-index", "--no-deps", wheel]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    packages = next(place.glob("lib/python*/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "packages_of_the_tests.pth").write_text("".join(f"{path}\n" for path in here))
    return place


ASK = """
import json, os, urllib.request
body = json.dumps({"sentences": ["the cats sleep.", "the cat them sleep."]}).encode()
request = urllib.request.Request("http://127.0.0.1:8000/v1/judge", body, {"authorization": "Bearer key-of-eight"})
labels = [one["label"] for one in json.load(urllib.request.urlopen(request))["verdicts"]]
def writable(folder):
    try:
        open(f"{folder}/x", "w").close()
    except OSError:
        return False
    return True
print(json.dumps([labels, [name for name in ("/", "/judges", "/opt/acceptor", "/tmp") if writable(name)], os.getuid()]))
"""


@pytest.mark.skipif(not container.is_possible(), reason="namespaces need root on Linux")
def test_the_image_serves_without_rights_on_a_root_that_cannot_be_written(image, toy_run, tmp_path):
    judges = tmp_path / "judges"
    judges.mkdir()
    acceptor.export(toy_run.judge, judges / "judge.onnx")
    final = dict(container.instructions(DOCKERFILE)[-1])
    health = json.loads(final["HEALTHCHECK"].partition(" CMD ")[2])
    assert final["EXPOSE"] == str(SETTINGS.port)
    log = tmp_path / "root.log"
    variables = {"ACCEPTOR_API_KEY": "key-of-eight"}
    with container.running(
        DOCKERFILE, venv=image, judges=judges, root=tmp_path / "root", variables=variables
    ) as running:
        wait_for(lambda: "serving at" in log.read_text() or running.process.poll() is not None)
        assert running.process.poll() is None, log.read_text()
        wait_for(lambda: running.run(*health).returncode == 0)
        done = running.run("python", "-c", ASK)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [["acceptable", "unacceptable"], ["/tmp"], 10001]
        os.kill(running.pid, signal.SIGTERM)  # it has number 1, which gets only the signals that it handles
        assert running.process.wait(120) == 0, log.read_text()
        assert "telemetry" not in log.read_text()  # ONNX Runtime's, which cannot keep its file here, and says so


def test_without_a_key_the_image_does_not_start(run_cli, monkeypatch):
    monkeypatch.delenv("ACCEPTOR_API_KEY", raising=False)
    final = dict(container.instructions(DOCKERFILE)[-1])
    program, *arguments = json.loads(final["ENTRYPOINT"]) + json.loads(final["CMD"])
    code, _, stderr = run_cli(*arguments)
    assert (program, code) == ("acceptor", 2)
    assert "E-USAGE-KEY" in stderr


def test_the_commands_in_comments_are_commands(tmp_path):
    """Of Docker and others only the words can be checked: files that they name are here."""
    for path in FILES:
        for found in re.findall(r"deploy/[\w./-]+\w", path.read_text("utf-8")):
            assert (REPOSITORY / found).exists(), f"{path.name}: {found}"
        for line in re.findall(r"docker run .*", path.read_text("utf-8")):
            assert shlex.split(line.strip("`.")), line
