"""Findings against independent counts, on CoLA and on planted rows; near duplicates against all pairs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import acceptor
from acceptor.data.auditing.duplicates import fingerprints, normalised, normalised_units, units
from acceptor.data.auditing.near_duplicates import NEAR, near_rows, signatures, similarity
from conftest import COLA, needs_cola

FILES = {"train": "in_domain_train.tsv", "validation": "in_domain_dev.tsv", "test": "out_of_domain_dev.tsv"}


@pytest.fixture(scope="module")
def cola():
    return acceptor.load_data(COLA / "raw")


@pytest.fixture(scope="module")
def found(cola):
    return {(one.kind, one.split): one for one in acceptor.findings(cola)}


@pytest.fixture(scope="module")
def raw():
    """The corpus' lines, read without the package."""
    text = {role: (COLA / "raw" / name).read_bytes().decode("utf-8") for role, name in FILES.items()}
    return {role: [line.split("\t") for line in one.rstrip("\n").split("\n")] for role, one in text.items()}


# ---------------------------------------------------------------------- CoLA


@needs_cola
def test_cola_has_19_duplicates_in_train_and_11_with_both_labels(found, raw):
    texts = [row[3] for row in raw["train"]]
    labels = defaultdict(set)
    for row in raw["train"]:
        labels[row[3]].add(row[1])
    assert found["exact duplicates", "train"].count == len(texts) - len(set(texts)) == 19
    assert found["conflicting labels", "train"].count == sum(len(one) == 2 for one in labels.values()) == 11
    assert found["exact duplicates", "train"].what.endswith("; 11 with another label than the row they resemble")


@needs_cola
def test_6_and_12_rows_of_colas_dev_sets_are_in_train(found, raw):
    train = {row[3] for row in raw["train"]}
    for role, count in (("validation", 6), ("test", 12)):
        finding = found["exact leaks", f"{role} in train"]
        assert finding.count == sum(row[3] in train for row in raw[role]) == count
        assert finding.of == len(raw[role])
    both = {row[3] for row in raw["validation"]} & {row[3] for row in raw["test"]}
    assert found["exact leaks", "test in validation"].count == len(both) == 1


@needs_cola
def test_cola_has_3_backspaces_and_1_label_against_its_mark(found, raw):
    lines = [number for number, row in enumerate(raw["train"], 1) if "\b" in row[3]]
    finding = found["control characters", "train"]
    assert (finding.count, [group[0]["line"] for group in finding.examples]) == (len(lines), lines)
    assert len(lines) == 3
    odd = [number for number, row in enumerate(raw["train"], 1) if (row[2].strip() == "") != (row[1] == "1")]
    finding = found["label against mark", "train"]
    assert (finding.count, [group[0]["line"] for group in finding.examples]) == (1, odd)
    for role in ("validation", "test"):  # out of domain, one acceptable sentence has a blank for its mark
        assert found["label against mark", role].count == 0


@needs_cola
def test_examples_name_the_lines_of_the_sentences(found, raw):
    lines = {role: [row[3] for row in rows] for role, rows in raw.items()}
    shown = 0
    for finding in found.values():
        assert len(finding.examples) == min(10, finding.count)
        for row in (row for group in finding.examples for row in group):
            assert lines[row["split"]][row["line"] - 1].startswith(row["sentence"].removesuffix("…"))
            assert row["place"].endswith(f"{FILES[row['split']]}, line {row['line']}")
            shown += 1
    assert shown > 100


@needs_cola
def test_balance_by_source_is_that_of_the_file(cola, raw):
    counts = Counter((row[0], row[1]) for row in raw["train"])
    sources = acceptor.audit(cola.train).sources
    assert len(sources) == 17
    assert sum(sum(one.values()) for one in sources.values()) == 8551
    for source, balance in sources.items():
        assert balance == {"unacceptable": counts[source, "0"], "acceptable": counts[source, "1"]}
    sizes = [sum(one.values()) for one in sources.values()]
    assert sizes == sorted(sizes, reverse=True)


# ---------------------------------------------------------------------- near duplicates


@needs_cola
def test_near_duplicates_are_those_of_all_pairs(cola):
    """None is false, and at least 97 % of those are found that a comparison of all pairs finds."""
    from sklearn.feature_extraction.text import CountVectorizer

    train = normalised_units(cola.train).unique(maintain_order=True).to_list()[:3000]
    test = [text for text in normalised_units(cola.validation).to_list() if text not in set(train)]
    pieces = CountVectorizer(analyzer="char", ngram_range=(3, 3), lowercase=False, binary=True, dtype=np.int32)
    ours = pieces.fit_transform(train + test)

    def likeness(rows, others):
        shared = (ours[rows] @ ours[others].T).toarray()
        sizes = np.asarray(ours.sum(axis=1)).ravel()
        return shared / (sizes[rows][:, None] + sizes[others][None] - shared)

    among = np.tril(likeness(np.arange(3000), np.arange(3000)), -1)
    across = likeness(np.arange(3000, 3000 + len(test)), np.arange(3000))
    for exact, result in (
        (among, near_rows(signatures(train))),
        (across, near_rows(signatures(test), signatures(train))),
    ):
        rows, partners, similarities = result
        np.testing.assert_allclose(exact[rows, partners], similarities)
        assert (similarities >= NEAR).all()
        truth = set(np.flatnonzero(exact.max(axis=1) >= NEAR).tolist())
        assert len(truth) >= 30
        assert len(truth & set(rows.tolist())) >= 0.97 * len(truth)
        assert set(rows.tolist()) <= truth


def test_rows_that_are_all_similar_take_linear_time():
    """50,000 rows of one bucket; all pairs would be 1.2 billion."""
    texts = [f"the committee has looked at the proposal with number {number} once again" for number in range(50_000)]
    rows, partners, similarities = near_rows(signatures(texts))
    assert len(rows) > 49_000
    assert (partners < rows).all()
    assert (similarities >= NEAR).all()


def test_similarity_of_a_pair_is_that_of_its_less_similar_half():
    assert similarity("the same premise here\0yes it is", "the same premise here\0yes it is") == 1.0
    assert similarity("the same premise here\0yes it is", "the same premise here\0no dogs") < 0.1
    assert similarity("ab", "ab") == 1.0
    assert similarity("abcd", "abce") == 1 / 3


# ---------------------------------------------------------------------- planted rows


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("The cat sat.", True),
        ("the CAT  sat .", True),
        ("the ca\u200bt sat\ufeff.", True),
        ("the cat\u00a0sat.", True),
        ("the \uff43\uff41\uff54 sat.", True),
        ("the c\bat sat.", True),
        ("the cat sat", False),
        ("the cat sat!", False),
        ("the cats at.", False),
    ],
)
def test_normalisation_removes_only_case_spacing_width_and_invisible_characters(text, same):
    plain, other = normalised(pl.Series(["the cat sat.", text]))
    assert (plain == other) == same


def test_normalisation_of_quotes_accents_and_nothing():
    assert normalised(pl.Series(["“It’s”"]))[0] == normalised(pl.Series(['"It\'s"']))[0]
    assert normalised(pl.Series(["cafe\u0301"]))[0] == "café"
    assert normalised(pl.Series(["\u200b"]))[0] == "\u200b"


def test_fingerprints_are_those_of_blake2_on_every_machine():
    split = acceptor.load_data([("The cat sat.", "1"), ("the cat sat .", "0"), ("Dogs bark", "1")]).train
    one, two, other = fingerprints(split)
    assert one == two != other
    digest = hashlib.blake2b(b"the cat sat .", digest_size=8).digest()
    assert int(one) == int.from_bytes(digest, "little")


def counts_of(rows, **splits):
    found = acceptor.findings(acceptor.load_data(rows, **splits))
    return {(one.kind, one.split): one.count for one in found if one.count}


def test_planted_faults_are_found_and_nothing_else():
    good = [
        ("Mary sings in the choir of the town.", "1"),
        ("Nobody has ever been to that island.", "1"),
        ("Whom did you give it to yesterday?", "0"),
        ("Books on the shelf was dusty.", "0"),
    ]
    assert counts_of(good) == {}
    assert counts_of([*good, good[0]]) == {("exact duplicates", "train"): 1}
    both = [*good, (good[0][0], "0")]
    assert counts_of(both) == {("exact duplicates", "train"): 1, ("conflicting labels", "train"): 1}
    assert counts_of([*good, ("mary sings in the choir of the town .", "1")]) == {("normalised duplicates", "train"): 1}
    near = ("Mary sings in the choir of the towns.", "0")
    assert counts_of([*good, near]) == {("near duplicates", "train"): 1}
    test = [("A wholly new thing.", "1"), good[0], ("MARY sings in the choir of the town.", "1"), near]
    assert counts_of(good, test=test) == {
        ("normalised duplicates", "test"): 1,
        ("near duplicates", "test"): 1,
        ("exact leaks", "test in train"): 1,
        ("normalised leaks", "test in train"): 1,
        ("near leaks", "test in train"): 1,
    }


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("\b", "control characters"),
        ("\x9b", "control characters"),
        ("\u200b", "zero-width characters"),
        ("\ufeff", "zero-width characters"),
        ("\u202e", "bidirectional controls"),
        ("\u2066", "bidirectional controls"),
        ("\ufffd", "replacement characters"),
    ],
)
def test_unusual_characters_are_found_in_both_texts_of_a_pair(character, kind):
    rows = [("Who came in?", "John did.", "1"), ("What is that?", f"A ha{character}t.", "0"), ("Why?", "Well.", "1")]
    data = acceptor.load_data(rows)
    assert {one.kind: one.examples[0][0]["row"] for one in acceptor.findings(data) if one.count} == {kind: 2}
    assert acceptor.findings(acceptor.load_data([("Tabs\tand\nlines are fine.", "1"), ("Yes.", "0")]))[4].count == 0


def test_a_pair_is_one_unit():
    rows = [("Is it raining?", "Yes.", "1"), ("Is it raining?", "The garden is large.", "0"), ("Why?", "Yes.", "1")]
    data = acceptor.load_data(rows)
    assert not [one for one in acceptor.findings(data) if one.count]
    assert units(data.train).n_unique() == 3
    twice = acceptor.load_data([*rows, ("is it raining ?", "YES.", "0")])
    assert {one.kind: one.count for one in acceptor.findings(twice) if one.count} == {"normalised duplicates": 1}


def test_hostile_rows_do_not_break_it():
    long = " ".join(map(str, range(150_000)))  # 1 MB
    rows = [(long + "a", "1"), (long + "b", "0"), ("\u200b", "1"), ("x", "0"), ("\U0001f468\u200d\U0001f469", "1")]
    data = acceptor.load_data(rows, test=[("x", "1")])
    found = acceptor.findings(data)
    near = next(one for one in found if one.kind == "near duplicates" and one.split == "train")
    assert near.count == 1
    assert max(len(row["sentence"]) for one in found for group in one.examples for row in group) < 310
    assert len(json.dumps([one.to_dict() for one in found])) < 100_000
    assert {(one.kind, one.split): one.count for one in found}["exact leaks", "test in train"] == 1


def test_one_label_of_a_source_and_marks_of_another_corpus():
    rows = [
        {"sentence": f"row {index}", "label": str(index % 2), "source": "ab"[index // 5], "mark": "+-"[index % 2]}
        for index in range(8)
    ]
    rows.append({"sentence": "quite another", "label": "1", "source": "c", "mark": "+"})
    found = {one.kind: one for one in acceptor.findings(acceptor.load_data(rows))}
    assert (found["one-label sources"].count, found["one-label sources"].of) == (1, 3)
    assert found["label against mark"].count == 0


def test_remarks_name_the_rows_as_read_after_a_cut_by_a_column(tmp_path, run_cli):
    rows = [f"sentence number {row}\t{row % 2}\t{('train', 'test')[row % 2 == 0]}" for row in range(20)]
    rows[17] = "\ufeff" + rows[17]
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(["sentence\tlabel\tsplit", *rows]) + "\n")
    code, stdout, stderr = run_cli("audit", path, "--split", "column", "--json")
    assert code == 0, stderr
    [marks] = [one for one in json.loads(stdout)["findings"] if one["kind"] == "byte order marks"]
    assert (marks["count"], [row["line"] for [row] in marks["examples"]]) == (1, [19])


def test_labels_are_compared_by_name_where_splits_number_them_otherwise():
    data = acceptor.load_data([("Mary sings in the choir.", "0"), ("Nobody has been there.", "1")])
    train = replace(data.train, labels=("", *data.labels), label_ids=data.train.label_ids + 1)
    test = replace(data.train, name="test")
    leaks = [one for one in acceptor.findings(acceptor.Data(train, None, test)) if one.kind == "exact leaks"]
    assert [(one.count, "0 with another label" in one.what) for one in leaks] == [(2, True)]
