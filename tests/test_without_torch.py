"""An installation with only the extra `onnx`: it judges with exported files, without torch and Transformers."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import polars as pl
import pytest
from packaging.requirements import Requirement

import acceptor
from conftest import REPOSITORY, toy_rows

ABSENT = ("torch", "transformers", "sklearn", "matplotlib", "jinja2")


def distributions(requirements):
    """All that pip would install for these requirements, as it is installed here."""
    wanted = [(Requirement(text), "") for text in requirements]
    found = {}
    while wanted:
        requirement, extra = wanted.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        extras = requirement.extras or {""}
        if (requirement.name, *sorted(extras)) in found:
            continue
        one = metadata.distribution(requirement.name)
        found[(requirement.name, *sorted(extras))] = one
        wanted += [(Requirement(text), extra) for text in one.requires or () for extra in extras]
    return found.values()


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Runs `python -m acceptor` in a virtual environment with those packages alone, linked from this one."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["onnx"]
    place = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(place, symlinks=True)
    [packages] = place.glob("lib/python*/site-packages")
    for one in distributions(requirements):
        for name in {file.parts[0] for file in one.files} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(one.locate_file("")) / name)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}

    def run(*arguments):
        command = [place / "bin" / "python", "-W", "error", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place, check=False)

    return run


@pytest.fixture(scope="module")
def file(toy_run, tmp_path_factory):
    judge = acceptor.load(toy_run.folder, precision="fp32")
    return acceptor.export(judge, tmp_path_factory.mktemp("bare") / "judge.onnx").path


def test_nothing_more_is_installed_there(bare):
    find = "import importlib.util as u, sys; print([name for name in sys.argv[1:] if u.find_spec(name)])"
    assert bare("-c", find, *ABSENT).stdout == "[]\n"
    assert bare("-c", find, "onnxruntime", "tokenizers").stdout == "['onnxruntime', 'tokenizers']\n"


def test_it_judges_predicts_and_evaluates(bare, file, toy_run, run_cli, tmp_path):
    table, labelled = tmp_path / "in.tsv", tmp_path / "gold.tsv"
    rows = toy_rows(200, 5)
    table.write_text("sentence\n" + "".join(f"{text}\n" for text, _ in rows))
    labelled.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    told = bare("-m", "acceptor", "predict", file, table, "-o", tmp_path / "out.parquet")
    assert told.returncode == 0
    assert "Warning" not in told.stderr
    assert "200 rows in = 200 out + 0 rejected" in told.stdout
    run_cli("predict", toy_run.folder, table, "-o", tmp_path / "run.parquet")
    ours, theirs = (pl.read_parquet(tmp_path / name) for name in ("run.parquet", "out.parquet"))
    assert ours["verdict"].equals(theirs["verdict"])
    assert (ours["probability"] - theirs["probability"]).abs().max() < 1e-5
    told = bare("-m", "acceptor", "evaluate", file, labelled, "--json", "--by", "label")
    here = json.loads(run_cli("evaluate", toy_run.folder, labelled, "--json", "--by", "label")[1])
    there = json.loads(told.stdout)
    assert there["confusion"] == here["confusion"]
    assert there["mcc_interval"] == pytest.approx(here["mcc_interval"])
    told = bare("-m", "acceptor", "judge", file, "the cats sleep.", "--json")
    assert json.loads(told.stdout)["verdicts"][0]["verdict"] == acceptor.load(file)(["the cats sleep."])[0].label


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("train", "starter", "--encoder", "minilm"), "train"),
        (("judge", "RUN", "the cats sleep."), "train"),
        (("export", "RUN", "-o", "x.onnx"), "train"),
        (("evaluate", "no.onnx", "no.tsv", "--per-batch", "32", "--figures", "figures"), "train"),  # before it judges
    ],
)
def test_commands_that_need_torch_name_the_extra(bare, toy_run, arguments, extra):
    told = bare("-m", "acceptor", *(toy_run.folder if word == "RUN" else word for word in arguments))
    assert told.returncode == 2
    assert f"pip install 'acceptor[{extra}]'" in told.stderr
    assert "Traceback" not in told.stderr


def test_doctor_finds_what_is_missing(bare):
    told = bare("-m", "acceptor", "doctor", "--json")
    assert told.returncode == 0, told.stderr
    found = {row["name"]: row for row in json.loads(told.stdout)}
    assert found["[train]"]["finding"].startswith("missing: torch, transformers")
    assert "pip install 'acceptor[train]'" in found["[train]"]["note"]
    assert found["[onnx]"]["finding"] == "installed"
    assert found["threads"]["finding"] == "1"
    assert "device" not in found
    assert "pip install" in bare("-m", "acceptor", "doctor").stdout


def test_the_same_in_python(bare, file, toy_run):
    program = "import acceptor, sys; print(acceptor.load(sys.argv[1])(['the cats sleep.'])[0].label)"
    assert bare("-c", program, file).stdout.strip() == acceptor.load(file)(["the cats sleep."])[0].label
    told = bare("-c", "import acceptor; acceptor.train")
    assert "code:     E-USAGE-EXTRA" in told.stderr
