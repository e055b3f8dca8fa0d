"""Nine scores against scikit-learn's, their bootstrap against SciPy's, decisions that are fitted if they help."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn import metrics as reference

from acceptor.evaluation import intervals
from acceptor.evaluation.calibration import calibrate, fit_temperature, fit_threshold
from acceptor.evaluation.intervals import bootstrap_intervals, mcc_interval
from acceptor.evaluation.measures import BINS, bins_of, measures, statistics
from acceptor.evaluation.metrics import confusion_matrix, log_loss, mcc
from acceptor.judging.decision import MOST_PROBABLE, Decision, softmax


def drawn(n, labels=2, seed=0, step=None):
    """Gold, verdicts and probabilities; ``step`` rounds the logits, so that there are ties."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(labels, size=n, p=[0.3, 0.7] if labels == 2 else None)
    logits = rng.normal(size=(n, labels)) + 1.2 * np.eye(labels)[gold]
    probabilities = softmax(np.round(logits / step) * step if step else logits)
    return gold, probabilities.argmax(axis=1), probabilities


@pytest.mark.parametrize("step", [None, 0.5])
def test_scores_of_two_labels_are_those_of_scikit_learn(step):
    gold, predicted, probabilities = drawn(400, step=step)
    found = {name: one.value for name, one in measures(gold, predicted, probabilities).items()}
    likely = probabilities[:, 1]
    assert found == pytest.approx(
        {
            "mcc": reference.matthews_corrcoef(gold, predicted),
            "accuracy": reference.accuracy_score(gold, predicted),
            "f1": reference.f1_score(gold, predicted),
            "balanced_accuracy": reference.balanced_accuracy_score(gold, predicted),
            "roc_auc": reference.roc_auc_score(gold, likely),
            "average_precision": reference.average_precision_score(gold, likely),
            "brier": reference.brier_score_loss(gold, likely),
            "log_loss": reference.log_loss(gold, probabilities),
            "ece": found["ece"],
        }
    )
    confidence, right = probabilities.max(axis=1), predicted == gold
    bins = [bins_of(confidence) == number for number in range(BINS)]
    by_hand = sum(abs(confidence[one].mean() - right[one].mean()) * one.mean() for one in bins if one.any())
    assert found["ece"] == pytest.approx(by_hand)


def test_scores_of_three_labels_are_means_over_labels():
    gold, predicted, probabilities = drawn(300, labels=3)
    found = measures(gold, predicted, probabilities)
    truth = np.eye(3)[gold]
    assert found["roc_auc"].value == pytest.approx(reference.roc_auc_score(gold, probabilities, multi_class="ovr"))
    assert found["average_precision"].value == pytest.approx(reference.average_precision_score(truth, probabilities))
    assert found["brier"].value == pytest.approx(((probabilities - truth) ** 2).sum(axis=1).mean() / 2)


def test_weights_are_repetitions():
    gold, predicted, probabilities = drawn(60, step=0.5)
    times = np.random.default_rng(1).integers(0, 4, size=60)
    rows = np.repeat(np.arange(60), times)
    several = statistics(gold[rows], predicted[rows], probabilities[rows])
    for name, score in statistics(gold, predicted, probabilities).items():
        if name != "ece":  # its bins are those of all examples
            assert score(times[None, :].astype(float))[0] == pytest.approx(several[name](np.ones((1, len(rows))))[0]), (
                name
            )


def test_the_majority_is_the_baseline():
    gold, predicted, probabilities = drawn(500)
    share = (gold == 1).mean()
    base = {name: one.majority for name, one in measures(gold, predicted, probabilities).items()}
    assert math.isnan(base.pop("mcc"))
    assert base == pytest.approx(
        {
            "accuracy": share,
            "f1": 2 * share / (1 + share),
            "balanced_accuracy": 0.5,
            "roc_auc": 0.5,
            "average_precision": share,
            "brier": share * (1 - share),
            "log_loss": -share * math.log(share) - (1 - share) * math.log(1 - share),
            "ece": 0.0,
        },
        abs=1e-9,
    )


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "f1"])
def test_bootstrap_intervals_are_those_of_scipy(name):
    gold, predicted, probabilities = drawn(300)
    score = statistics(gold, predicted, probabilities)[name]

    def of_rows(rows, axis=-1):
        weights = np.stack([np.bincount(one, minlength=300) for one in np.atleast_2d(rows)])
        found = score(weights.astype(float))
        return found if np.ndim(rows) > 1 else found[0]

    ours = bootstrap_intervals({name: score}, 300)[name]
    theirs = bootstrap((np.arange(300),), of_rows, vectorized=True, n_resamples=2000, method="BCa", rng=1)
    width = ours.high - ours.low
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.08 * width)


def test_closed_form_and_bootstrap_agree_on_mcc():
    gold, predicted, probabilities = drawn(1043)
    closed = mcc_interval(confusion_matrix(gold, predicted, 2))
    drawn_interval = measures(gold, predicted, probabilities)["mcc"].interval
    assert drawn_interval == pytest.approx(closed, abs=0.1 * (closed.high - closed.low))


def test_bootstrap_intervals_have_their_coverage():
    truth = float(statistics(*drawn(200_000, seed=10**6))["roc_auc"](np.ones((1, 200_000)))[0])
    inside = 0
    for seed in range(300):
        score = statistics(*drawn(150, seed=seed))["roc_auc"]
        low, high = bootstrap_intervals({"roc_auc": score}, 150, draws=500)["roc_auc"]
        inside += low <= truth <= high
    assert 0.92 <= inside / 300 <= 0.98


def test_scores_that_are_not_defined_are_marked():
    gold, predicted, probabilities = drawn(50)
    one_label = measures(np.ones(50, dtype=np.int64), predicted, probabilities)
    for name in ("mcc", "balanced_accuracy", "roc_auc"):
        assert str(one_label[name]) == "not defined"
        assert one_label[name].to_dict() == {
            "value": None,
            "low": None,
            "high": None,
            "majority": one_label[name].to_dict()["majority"],
        }
    json.dumps({name: one.to_dict() for name, one in one_label.items()}, allow_nan=False)
    few = measures(gold[:9], predicted[:9], probabilities[:9])
    assert all(one.interval is None for one in few.values())
    alike = measures(gold, np.ones(50, dtype=np.int64), np.tile([0.4, 0.6], (50, 1)))
    assert math.isnan(alike["mcc"].value)
    assert alike["roc_auc"].value == 0.5
    assert alike["roc_auc"].interval is None  # every draw has .5: no interval
    right = measures(gold, gold, np.eye(2)[gold])
    assert right["accuracy"].value == right["mcc"].value == 1
    assert right["accuracy"].interval is right["mcc"].interval is None


def test_large_splits_leave_out_groups():
    gold, predicted, probabilities = drawn(5000)
    low, high = bootstrap_intervals(
        {"accuracy": statistics(gold, predicted, probabilities)["accuracy"]}, 5000, draws=500
    )["accuracy"]
    share = (gold == predicted).mean()
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(share * (1 - share) / 5000), rel=0.15)


def test_large_splits_are_scored_once_for_each_draw_and_each_group():
    """A score of a million examples takes long: groups that are left out are no more than the draws."""
    scored = 0

    def mean(weights):
        nonlocal scored
        scored += len(weights)
        return weights @ np.arange(3000.0) / weights.sum(axis=1)

    assert bootstrap_intervals({"mean": mean}, 3000, draws=200)["mean"] == pytest.approx((1468, 1531), abs=8)
    assert scored == 401  # with all examples, once


def test_confusion_matrices_of_many_labels_fit_in_memory():
    """Those of 2,000 draws of 300 labels would take gigabytes."""
    gold, predicted, probabilities = drawn(400, labels=300)
    scores = {"mcc": statistics(gold, predicted, probabilities)["mcc"]}
    tracemalloc.start()
    low, high = bootstrap_intervals(scores, 400)["mcc"]
    assert tracemalloc.get_traced_memory()[1] < 80e6
    tracemalloc.stop()
    assert low < reference.matthews_corrcoef(gold, predicted) < high


# ---------------------------------------------------------------------- decisions


def test_a_temperature_corrects_overconfidence():
    rng = np.random.default_rng(0)
    true_logits = rng.normal(size=(4000, 2)).astype(np.float32) * 1.5
    gold = (rng.random(4000) < softmax(true_logits)[:, 1]).astype(np.int64)
    assert fit_temperature(true_logits * 3, gold) == pytest.approx(3.0, rel=0.1)
    decision, why = calibrate(true_logits * 3, gold, "mcc")
    assert decision.temperature == pytest.approx(3.0, rel=0.1)
    assert "fitted" in why[0].reason
    assert log_loss(true_logits * 3 / decision.temperature, gold) < log_loss(true_logits * 3, gold)


def test_a_threshold_has_the_best_score_of_the_metric():
    rng = np.random.default_rng(1)
    gold = (rng.random(600) < 0.7).astype(np.int64)
    logits = np.stack([np.zeros(600), rng.normal(size=600) + 1.5 * gold + 1.0], axis=1).astype(np.float32)  # leans to 1
    decision, why = calibrate(logits, gold, "mcc")
    assert decision.threshold is not None
    assert "tuned" in why[1].reason
    score = lambda verdicts: float(mcc(confusion_matrix(gold, verdicts, 2)))  # noqa: E731
    best = score(Decision(threshold=fit_threshold(logits, gold, "mcc")).label_ids(logits))
    assert best > score(logits.argmax(axis=1))
    for threshold in np.linspace(0.01, 0.99, 99):
        assert not score(Decision(threshold=threshold).label_ids(logits)) > best + 1e-12


def test_of_equally_good_thresholds_the_one_nearest_to_one_half_is_taken():
    gold, likely = np.array([0, 0, 1, 1]), np.array([0.2, 0.4, 0.9, 0.95])  # .5 and .65 are both without a mistake
    logits = np.stack([np.zeros(4), np.log(likely / (1 - likely))], axis=1).astype(np.float32)
    assert fit_threshold(logits, gold, "mcc") == 0.5


def test_numbers_that_do_not_help_are_left_out():
    """Of calibrated judges, few get a temperature or threshold, and none gets an extreme one."""
    kept = {"temperature": 0, "threshold": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        logits = np.stack([np.zeros(300), 2 * rng.normal(size=300)], axis=1).astype(np.float32)
        gold = (rng.random(300) < softmax(logits)[:, 1]).astype(np.int64)
        decision, why = calibrate(logits, gold, "accuracy")
        for item in why:
            kept[item.name] += "left out" not in item.reason
        assert 0.6 < decision.temperature < 1.7
        assert decision.threshold is None or 0.2 < decision.threshold < 0.8
    assert max(kept.values()) <= 10


def test_no_temperature_is_fitted_without_a_limit():
    """If every verdict is right, or there is one label or few examples, no temperature is the best one."""
    rng = np.random.default_rng(0)
    gold = (rng.random(100) < 0.5).astype(np.int64)
    logits = (np.where(gold[:, None] == [0, 1], 2.0, -2.0) + 0.1 * rng.normal(size=(100, 2))).astype(np.float32)
    for rows, words in ((slice(None), "without a mistake"), (gold == 1, "two labels"), (slice(5), "10 examples")):
        decision, why = calibrate(logits[rows], gold[rows], "mcc")
        assert decision == MOST_PROBABLE
        assert why[0].value == 1.0
        assert words in why[0].reason


def test_a_collapsed_judge_gets_no_threshold_from_noise():
    kept = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        gold = (rng.random(500) < 0.7).astype(np.int64)
        margins = 0.85 + 1e-3 * rng.normal(size=500)
        logits = np.stack([np.zeros(500), margins], axis=1).astype(np.float32)
        kept += calibrate(logits, gold, "mcc")[0].threshold is not None
        ranked = np.stack([np.zeros(500), margins + 1e-3 * gold], axis=1).astype(np.float32)
        assert calibrate(ranked, gold, "mcc")[0].threshold is not None  # one verdict, but the order is right
    assert kept <= 8


def test_three_labels_have_only_a_temperature():
    gold, _, probabilities = drawn(300, labels=3)
    decision, why = calibrate((5 * np.log(probabilities)).astype(np.float32), gold, "mcc")
    assert decision.temperature > 2
    assert decision.threshold is None
    assert len(why) == 1


def test_verdicts_margins_and_probabilities_agree():
    logits = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 0.0]], np.float32)
    decision = Decision(temperature=2.0, threshold=0.7)
    likely = decision.probabilities(logits)[:, 1]
    np.testing.assert_allclose(likely, 1 / (1 + np.exp(-np.array([1.0, 2.0, -3.0]) / 2)))
    assert decision.label_ids(logits).tolist() == [0, 1, 0]
    boundary = 2 * math.log(0.7 / 0.3)
    np.testing.assert_allclose(decision.margins(logits), np.abs(np.array([1.0, 2.0, -3.0]) - boundary), rtol=1e-6)
    assert Decision().label_ids(logits).tolist() == [1, 1, 0]


def test_a_biased_score_is_reflected():
    """Draws of a calibration error are above it, so percentiles would not cover the true value of a good judge."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(500, 2)) * 2
    probabilities = softmax(logits)
    gold = (rng.random(500) < probabilities[:, 1]).astype(np.int64)
    found = measures(gold, probabilities.argmax(axis=1), probabilities)["ece"]
    assert found.value > 0.015
    assert found.interval.low == 0.0
    assert found.interval.high < 2 * found.value
    for seed in range(25):  # of a calibrated judge, whose error is bias alone: the interval holds it all the same
        rng = np.random.default_rng(seed)
        probabilities = softmax(rng.normal(size=(500, 2)) * 2)
        gold = (rng.random(500) < probabilities[:, 1]).astype(np.int64)
        found = measures(gold, probabilities.argmax(axis=1), probabilities)["ece"]
        assert found.interval.low <= found.value <= found.interval.high
    sure = np.tile([0.0, 1.0], (50, 1))
    assert measures(np.ones(50, dtype=np.int64), np.ones(50, dtype=np.int64), sure)["ece"].interval is None


def test_draws_that_equal_the_score_are_half_below_it():
    """Of scores of few values most draws are ties: counted whole, they would move the interval to one side."""
    tail = np.linspace(1, 2, 200)
    drawn = np.concatenate([-tail, np.zeros(600), tail])
    without = np.array([-0.1, 0.1] * 20)
    low, high = intervals._bca(0.0, drawn, without)
    assert low == pytest.approx(-high)
    assert low == pytest.approx(-1.875, abs=0.01)
