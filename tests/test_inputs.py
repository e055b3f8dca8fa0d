"""The quick form of `make inputs`: real-world files, labels, objects and machines; generated combinations."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from reliability.inputs import combinations
from reliability.inputs.__main__ import all_cases


def test_every_input_is_read_correctly_or_refused_in_one_message():
    """Every case without a training or a new process; 60 combinations; threads."""
    command = [sys.executable, "-m", "reliability.inputs", "--quick"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    wrong = {name: counts for name, counts in found.items() if counts[0] < counts[1]}
    assert not wrong, f"{wrong}\n{done.stdout[-6000:]}"
    assert sum(name[:2] in {f"{root}." for root in range(1, 8)} for name in found) == 7, found
    assert any("combinations" in name for name in found)


def test_every_root_of_the_issue_has_cases():
    """At least fifteen for each, and no two with the same description."""
    cases = all_cases()
    counts = Counter(case.root for case in cases)
    assert set(counts) == set(range(1, 8))
    assert min(counts.values()) >= 15, counts
    assert [words for words, number in Counter((case.root, case.what) for case in cases).items() if number > 1] == []


def test_combinations_are_many_and_the_same_every_time():
    """The same number gives the same combination, and all parts occur."""
    some = [combinations.combination(number) for number in range(2000)]
    assert some == [combinations.combination(number) for number in range(2000)]
    assert len({str(one).partition(": ")[2] for one in some}) > 1500
    for part in ("form", "packing", "separator", "layout", "labels", "sentences", "encoding", "line_end", "stdout"):
        assert len({getattr(one, part) for one in some}) >= 4 - (part == "line_end"), part
    assert sum(one.plain for one in some) > 400
    assert {one.layout for one in some} == set(combinations.LAYOUTS)


def test_the_generator_writes_the_truth_that_it_returns(tmp_path):
    """A plain combination's truth equals the content that a simple reader of the format finds."""
    import csv

    one = next(
        it
        for it in map(combinations.combination, range(2000))
        if it.plain and (it.form, it.packing, it.layout, it.encoding, it.given) == (".csv", "", "sentence", "utf-8", "")
    )
    truth = combinations.truth_of(one)
    rows = list(csv.DictReader(combinations.content_of(one, truth).decode().splitlines()))
    assert [row["sentence"] for row in rows] == truth.sentences
    assert [row["label"] for row in rows] == truth.labels


def test_every_program_of_a_case_can_be_read():
    """Python compiles them, bash parses the others, so that an error in a slow case is found here, too."""
    for case in all_cases():
        if case.run.startswith("sh -c "):
            done = subprocess.run(["bash", "-n", "-c", case.run.removeprefix("sh -c ")], capture_output=True, text=True)
            assert done.returncode == 0, (case.what, done.stderr)
        elif not case.is_command:
            compile(case.run, case.what, "exec")
