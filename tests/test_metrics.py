"""Scores against scikit-learn's, intervals against simulation, and undefined scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from acceptor.evaluation import metrics
from acceptor.evaluation.evaluate import score
from acceptor.evaluation.intervals import mcc_interval, share_interval
from acceptor.judging.decision import softmax

verdicts = st.integers(2, 4).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=2, max_size=80)
    )
)


@settings(max_examples=200, deadline=None)
@given(verdicts)
@pytest.mark.filterwarnings("ignore")  # scikit-learn warns of undefined cases
def test_scores_are_those_of_scikit_learn(case):
    k, pairs = case
    gold, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    confusion = metrics.confusion_matrix(gold, predicted, k)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(gold, predicted, labels=range(k)))
    assert metrics.accuracy(confusion) == pytest.approx(reference.accuracy_score(gold, predicted))
    found = metrics.mcc(confusion)
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        assert math.isnan(found)  # scikit-learn gives 0.0 here
    else:
        assert found == pytest.approx(reference.matthews_corrcoef(gold, predicted))
    f1 = metrics.f1(confusion)
    if not math.isnan(f1):
        average = {"average": "binary"} if k == 2 else {"average": "macro", "labels": range(k)}
        assert f1 == pytest.approx(reference.f1_score(gold, predicted, zero_division=np.nan, **average))


def test_the_majority_is_that_of_the_gold_labels():
    confusion = np.array([[3, 4], [1, 0]])
    assert metrics.majority_share(confusion) == 7 / 8
    assert metrics.majority_share(np.stack([confusion, confusion.T])).tolist() == [7 / 8, 4 / 8]


@settings(max_examples=50, deadline=None)
@given(verdicts)
def test_many_matrices_are_scored_as_each_alone(case):
    k, pairs = case
    gold, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    confusion = metrics.confusion_matrix(gold, predicted, k)
    for metric in metrics.METRICS.values():
        together = metric(np.stack([confusion, 3 * confusion, np.zeros_like(confusion)]))
        np.testing.assert_allclose(together[:2], [metric(confusion)] * 2)
        assert math.isnan(together[2])


def test_the_chapters_formula():
    tp, tn, fp, fn = 300, 80, 70, 66
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    assert metrics.mcc(np.array([[tn, fp], [fn, tp]])) == pytest.approx((tp * tn - fp * fn) / math.sqrt(product))


def test_mcc_does_not_overflow_on_large_counts():
    assert metrics.mcc(np.array([[40_000_000, 1], [2, 50_000_000]])) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("confusion", "n"),
    [
        ([[0.2, 0.114], [0.06, 0.626]], 516),
        ([[0.1, 0.2], [0.1, 0.6]], 1043),
        ([[0.475, 0.025], [0.025, 0.475]], 527),  # MCC .9: a symmetric interval holds it in .93 of the draws
        ([[0.425, 0.075], [0.075, 0.425]], 50),
        ([[0.18, 0.12], [0.07, 0.63]], 50),
    ],
)
def test_the_mcc_interval_has_its_coverage(confusion, n):
    shares = np.array(confusion) / np.sum(confusion)
    truth = metrics.mcc(shares * 1e6)
    draws = np.random.default_rng(1).multinomial(n, shares.ravel(), size=8000).reshape(-1, 2, 2)
    inside = np.mean([low <= truth <= high for low, high in map(mcc_interval, draws)])
    assert 0.94 <= inside <= 0.96


@pytest.mark.parametrize(("right", "n"), [(0.9, 100), (0.7, 100), (0.9, 30)])
def test_the_mcc_interval_of_three_labels_has_its_coverage(right, n):
    shares = (np.eye(3) * right + (1 - np.eye(3)) * (1 - right) / 2) / 3
    draws = np.random.default_rng(1).multinomial(n, shares.ravel(), size=400).reshape(-1, 3, 3)
    truth = metrics.mcc(shares * 1e6)
    inside = np.mean([low <= truth <= high for low, high in map(mcc_interval, draws)])
    assert 0.93 <= inside <= 0.98


def test_a_judge_with_one_mistake_has_no_higher_interval_than_one_without():
    for n in (28, 100):
        half = n // 2
        none, one = (mcc_interval(np.array([[half, 0], [wrong, half - wrong]])) for wrong in (0, 1))
        assert one.low <= none.low
        assert one.high < none.high == 1.0


def test_labels_in_a_cycle_have_no_interval_of_width_0():
    assert mcc_interval(np.array([[0, 50, 0], [0, 0, 60], [70, 0, 0]])) is None


@pytest.mark.parametrize("n", [10, 13, 25, 60])
def test_the_interval_of_a_share_holds_it(n):
    """Also at the ends, whatever the rounding."""
    for hits in range(n + 1):
        low, high = share_interval(hits, n)
        assert low <= hits / n <= high


def test_the_interval_width_of_cola():
    """At MCC .55 on the 516 out-of-domain sentences the standard error is .040."""
    interval = mcc_interval(np.round(np.array([[0.198, 0.116], [0.066, 0.62]]) * 516).astype(int))
    assert (interval.high - interval.low) / 2 / 1.96 == pytest.approx(0.040, abs=0.002)


def test_several_labels_get_an_interval_too():
    confusion = np.array([[50, 5, 5], [4, 60, 6], [3, 7, 60]])
    interval = mcc_interval(confusion)
    assert interval.low < metrics.mcc(confusion) < interval.high
    assert interval == mcc_interval(confusion)


def test_an_interval_needs_a_correlation_in_nearly_every_draw():
    """A third of the draws has one gold label alone; the others would tell of the defined cases only."""
    assert mcc_interval(np.array([[8, 1, 0], [0, 1, 0], [0, 0, 0]])) is None
    assert mcc_interval(np.array([[8, 1, 0], [1, 8, 0], [0, 0, 0]])) is not None


def test_many_labels_are_drawn_from_the_cells_that_occur():
    """As from all cells, whose other draws are 0."""
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 60, 900)
    confusion = metrics.confusion_matrix(gold, np.where(rng.random(900) < 0.7, gold, rng.integers(0, 60, 900)), 60)
    draws = np.random.default_rng(2).multinomial(900, confusion.ravel() / 900, size=2000).reshape(-1, 60, 60)
    whole = np.percentile(metrics.mcc(draws), [2.5, 97.5])
    np.testing.assert_allclose(mcc_interval(confusion), whole, atol=0.005)


@pytest.mark.parametrize("size", [2, 3])
def test_a_perfect_score_is_not_certain(size):
    for n, low in ((20, 0.6), (200, 0.95)):
        interval = mcc_interval(np.eye(size, dtype=int) * (n // size))
        assert low < interval.low < 1.0 == interval.high
    assert mcc_interval(np.array([[0, 100], [100, 0]])).low == -1.0
    assert -1.0 < mcc_interval(np.array([[0, 100], [100, 0]])).high < -0.95


def test_fewer_than_ten_examples_have_no_interval():
    """In closed form as by the bootstrap."""
    assert mcc_interval(np.array([[3, 2], [1, 3]])) is None
    assert mcc_interval(np.array([[3, 2], [1, 4]])) is not None
    assert score(np.array([[3, 2], [1, 3]])).mcc_words == "0.350 (no interval: too few examples)"


def test_an_interval_that_draws_leave_undefined_says_so():
    """Without the only verdict that differs, the correlation is not defined: that is one draw of three."""
    scores = score(np.array([[5, 1, 0], [4, 0, 0], [4, 0, 0]]))
    assert scores.mcc_interval is None
    assert "no interval: often not defined in samples of these examples" in scores.mcc_words


def test_the_reason_without_a_score_is_that_of_the_data_first():
    assert score(np.array([[0, 0], [0, 9]])).mcc_words == "not defined (one label only)"
    assert score(np.array([[0, 0], [4, 5]])).mcc_words == "not defined (one label only)"
    assert score(np.array([[0, 4], [0, 5]])).mcc_words == "not defined (all verdicts alike)"


def test_share_interval_is_wilsons():
    low, high = share_interval(81, 263)  # Newcombe 1998, table I
    assert (low, high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


def test_one_verdict_for_all_is_collapsed_not_zero():
    scores = score(np.array([[0, 162], [0, 354]]))
    assert math.isnan(scores.mcc)
    assert scores.collapsed
    assert "not defined (all verdicts alike)" in str(scores)
    assert scores.to_dict()["mcc"] is None
    only_gold = score(np.array([[3, 2], [0, 0]]))
    assert "not defined (one label only)" in str(only_gold)
    assert not only_gold.collapsed
    for right in ([[0, 0], [0, 9]], [[1, 0], [0, 0]], [[0, 3], [0, 0]]):  # one gold label: one verdict is no wonder
        assert not score(np.array(right)).collapsed


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1, max_size=6))
def test_softmax_sums_to_one_and_never_overflows(rows):
    logits = np.array(rows, dtype=np.float32)
    found = softmax(logits)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    best = found[np.arange(len(rows)), logits.argmax(axis=1)]
    np.testing.assert_allclose(best, found.max(axis=1))


def test_log_loss_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, gold = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 3, 50)
    expected = reference.log_loss(gold, softmax(logits), labels=[0, 1, 2])
    assert metrics.log_loss(logits, gold) == pytest.approx(expected)
    assert metrics.log_loss(np.array([[1e4, -1e4]], np.float32), np.array([1])) == pytest.approx(2e4)
