"""Mistakes of the notebook chapter with its results: means of batches, a softmax that overflows, one seed."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from acceptor.evaluation.intervals import mcc_interval
from acceptor.evaluation.metrics import mcc
from acceptor.evaluation.spread import spread
from drawings.canvas import MARGIN, RIGHT, SMALL, Drawing, Scale, Words
from drawings.figure import Facts, Figure
from drawings.sources import cola, seeds_on_record

# ── scores by batch ──────────────────────────────────────────────────────────────────────────────────────

SEED, BATCH, RECALL = 2018, 32, (0.5, 0.9)  # a judge that finds half of the unacceptable, nine tenths of the acceptable

BATCHES = {
    "title": ("Scores by batch are not scores of the set", "各批次的分数不是整个集合的分数"),
    "caption": (
        "Simulated verdicts (seed {seed}; {bad:.0%} of the unacceptable and {good:.0%} of the acceptable sentences"
        " right) on the {n} labels of CoLA's in-domain dev set in batches of {batch}: the mean of the batches'"
        " accuracies is {mean_accuracy:.4f} where that of all examples is {accuracy:.4f}, and their MCCs run from"
        " {low:.2f} to {high:.2f}, {mean_mcc:.3f} on average, where that of the whole set is {mcc:.3f}.",
        "模拟判定（种子 {seed}；不可接受句判对 {bad:.0%}，可接受句判对 {good:.0%}），标签为 CoLA 域内开发集的 {n} 句，"
        "每批 {batch} 句：各批准确率的平均为 {mean_accuracy:.4f}，全部样本为 {accuracy:.4f}；各批 MCC 从 {low:.2f} 到"
        " {high:.2f}，平均 {mean_mcc:.3f}，而整个集合为 {mcc:.3f}。",
    ),
    "about": (
        "Simulated verdicts on the {n} labels of CoLA's in-domain dev set, in batches of {batch} in the file's order",
        "在 CoLA 域内开发集 {n} 个标签上模拟的判定，按文件顺序每批 {batch} 句",
    ),
    "accuracy": ("Accuracy", "准确率"),
    "mcc": ("MCC", "MCC"),
    "batch": ("batch", "批次"),
    "one": ("one batch of {batch}", "一批 {batch} 句"),
    "last": ("the last: {last} sentences, counted as a whole batch", "最后一批：{last} 句，却按整批计算"),
    "mean": ("mean of the batches", "各批的平均"),
    "whole": ("all examples", "全部样本"),
    "interval": ("its 95 % interval", "其 95 % 置信区间"),
    "values": (
        "mean of batches {mean:.{digits}f} · all {whole:.{digits}f}",
        "各批平均 {mean:.{digits}f} · 全部 {whole:.{digits}f}",
    ),
}


def confusion(gold: npt.NDArray[np.int64], verdicts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts by label id and verdict, shape (2, 2)."""
    return np.bincount(gold * 2 + verdicts, minlength=4).reshape(2, 2)


def measure_batches() -> Facts:
    """Accuracy and MCC of each batch, their means, and those of the whole set."""
    validation = cola().validation
    assert validation is not None
    gold = np.asarray(validation.gold, dtype=np.int64)
    right = np.random.default_rng(SEED).random(len(gold)) < np.asarray(RECALL)[gold]
    verdicts = np.where(right, gold, 1 - gold)
    parts = [slice(start, start + BATCH) for start in range(0, len(gold), BATCH)]
    accuracies = [float(right[part].mean()) for part in parts]
    correlations = [float(mcc(confusion(gold[part], verdicts[part]))) for part in parts]
    whole = confusion(gold, verdicts)
    return {
        "seed": SEED, "batch": BATCH, "bad": RECALL[0], "good": RECALL[1], "n": len(gold),
        "last": len(gold) - parts[-1].start,
        "accuracies": accuracies, "mean_accuracy": np.mean(accuracies), "accuracy": right.mean(),
        "mccs": correlations, "mean_mcc": np.nanmean(correlations), "mcc": float(mcc(whole)),
        "low": np.nanmin(correlations), "high": np.nanmax(correlations), "interval": mcc_interval(whole),
    }  # fmt: skip


def draw_batches(drawing: Drawing, words: Words, facts: Facts) -> None:
    """Two panels with a dot for each batch: accuracy and MCC."""
    drawing.note(words("about", **facts))
    n = len(facts["mccs"])
    across = Scale(0.5, n + 0.5, MARGIN + 46, RIGHT)
    panels = (
        ("accuracy", "accuracies", "mean_accuracy", Scale(0.5, 1, 0, -104), (0.5, 0.75, 1.0), 4),
        ("mcc", "mccs", "mean_mcc", Scale(-0.25, 1, 0, -170), (0.0, 0.25, 0.5, 0.75, 1.0), 3),
    )
    for name, values, mean, shape, ticks, digits in panels:
        drawing.y += 12
        drawing.text(MARGIN, drawing.y, words(name), bold=True)
        said = words("values", mean=facts[mean], whole=facts[name], digits=digits)
        drawing.text(RIGHT, drawing.y, said, size=SMALL, colour="muted", anchor="end")
        base = drawing.y + 16 - shape.end
        up = Scale(shape.low, shape.high, base, base + shape.end)
        drawing.ticks_left(up, across.start, across.end, [(tick, f"{tick:g}") for tick in ticks])
        if name == "mcc":
            low, high = facts["interval"]
            drawing.box(across.start, up(high), across.end - across.start, up(low) - up(high), fill="c0", stroke=None,
                        tint=True, radius=0)  # fmt: skip
        drawing.line([(across.start, up(facts[name])), (across.end, up(facts[name]))], "c0", width=2)
        drawing.line([(across.start, up(facts[mean])), (across.end, up(facts[mean]))], "c1", width=2, dash="6 8")
        for number, value in enumerate(facts[values], 1):
            drawing.dot(across(number), up(value), "ink", radius=4.5, hollow=number == n)
        drawing.y = base + 20
    drawing.ticks_below(across, base, [(at, str(at)) for at in range(1, n + 1, 4)])
    drawing.text(MARGIN, base + 19, words("batch"), size=SMALL, colour="muted")
    drawing.y += 30
    left = [("line", "c0", words("whole")), ("dashes", "c1", words("mean"))]
    drawing.legend(MARGIN, drawing.y, left)
    drawing.legend(MARGIN + 230, drawing.y, [("band", "c0", words("interval")), ("dot", "ink", words("one", **facts))])
    drawing.y += 44
    drawing.legend(MARGIN, drawing.y, [("ring", "ink", words("last", **facts))])
    drawing.y += 20


# ── a softmax that overflows ─────────────────────────────────────────────────────────────────────────────

SOFTMAX = {
    "title": ("A softmax without a shift ends in nan", "不作平移的 softmax 会得到 nan"),
    "caption": (
        "Two logits that are always 1 apart have the probability {p:.3f}; computed in float32 as exp(z) / sum(exp(z))"
        " it is 0 from z = {zero:.2f} on, where the sum overflows, nan above {over:.2f}, where exp(z) does, and nan"
        " below −{depth:.2f}, where both exp are 0; with the largest logit subtracted first it is {p:.3f} everywhere.",
        "两个 logit 始终相差 1，概率应为 {p:.3f}；以 float32 按 exp(z) / sum(exp(z)) 计算，z 从 {zero:.2f} 起分母上溢，"
        "结果为 0；大于 {over:.2f} 时 exp(z) 上溢，小于 −{depth:.2f} 时两个 exp 都为 0，结果均为 nan；先减去最大的"
        " logit，则处处为 {p:.3f}。",
    ),
    "about": ("Two logits, z and z − 1, and the probability of the first", "两个 logit：z 与 z − 1，以及第一个的概率"),
    "exp": ("exp(z) in float32", "float32 的 exp(z)"),
    "plain": ("In the chapter: exp(z) / sum(exp(z))", "章节的写法：exp(z) / sum(exp(z))"),
    "shifted": ("Shifted: exp(z − max) / sum(exp(z − max))", "平移后：exp(z − max) / sum(exp(z − max))"),
    "z": ("logit z", "logit z"),
}

Floats = npt.NDArray[np.float32]


def exp32(values: Floats) -> Floats:
    """The exponential in float32, correctly rounded: processors differ in the last bits of their own."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(values.astype(np.float64)), dtype=np.float32)


def softmax32(logits: Floats, *, shifted: bool) -> Floats:
    """Softmax over the last axis in float32, as the chapter writes it or with the largest logit subtracted."""
    powers = exp32(logits - logits.max(axis=-1, keepdims=True) if shifted else logits)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def measure_softmax() -> Facts:
    """Both forms for logits from -125 to 125, and where the chapter's begins and ceases to be a number."""
    z = np.arange(-12_500, 12_501, dtype=np.float32) / np.float32(100)
    logits = np.stack([z, z - 1], axis=-1)
    plain, shifted = (softmax32(logits, shifted=on)[:, 0] for on in (False, True))
    known = z[np.isfinite(plain)]
    return {
        "z": z, "exp": exp32(z), "plain": plain, "shifted": shifted, "p": float(shifted[len(z) // 2]),
        "over": known.max(), "under": known.min(), "depth": -known.min(), "zero": z[plain == 0].min(),
    }  # fmt: skip


def draw_softmax(drawing: Drawing, words: Words, facts: Facts) -> None:
    """Above, exp on a logarithmic axis; below, the probability by each form."""
    z, over, under = facts["z"], float(facts["over"]), float(facts["under"])
    across = Scale(-125, 125, MARGIN + 44, RIGHT)
    drawing.note(words("about"))
    positive = np.isfinite(facts["exp"]) & (facts["exp"] > 0)
    powers = np.log10(np.where(positive, facts["exp"], 1).astype(np.float64))
    panels = (
        ("exp", 112, (-46, 40), [(-38, "1e−38"), (0, "1"), (38, "1e38")], np.where(positive, powers, np.nan)),
        ("plain", 84, (0, 1), [(0, "0"), (0.5, "0.5"), (1, "1")], facts["plain"]),
        ("shifted", 84, (0, 1), [(0, "0"), (0.5, "0.5"), (1, "1")], facts["shifted"]),
    )
    for name, height, (low, high), ticks, values in panels:
        drawing.y += 14
        drawing.text(MARGIN, drawing.y, words(name), bold=True)
        base = drawing.y + 18 + height
        up = Scale(low, high, base, base - height)
        ends = {"exp": ("0", "inf"), "plain": ("nan", "nan")}.get(name, ())
        for (start, end), said in zip(((-125.0, under), (over, 125.0)), ends, strict=False):
            drawing.box(across(start), base - height, across(end) - across(start), height, fill="c1", stroke=None,
                        tint=True, radius=0)  # fmt: skip
            middle = (across(start) + across(end)) / 2
            drawing.text(middle, base - height + 20, said, colour="c1", anchor="middle", bold=True, mono=True)
        drawing.ticks_left(up, across.start, across.end, ticks)
        drawing.line(_thinned(across, up, z, values), "c1" if name == "plain" else "c0", width=2)
        if name != "exp":
            drawing.text(across(0), up(facts["p"]) + 21, f"{facts['p']:.3f}", anchor="middle", bold=True)
        drawing.ticks_below(across, base, [(at, f"{at}".replace("-", "−")) for at in range(-100, 101, 50)])
        drawing.y = base + 36
    drawing.text(RIGHT, drawing.y + 3, words("z"), size=SMALL, colour="muted", anchor="end")
    drawing.y += 18


def _thinned(across: Scale, up: Scale, x: Floats, y: npt.NDArray[np.floating]) -> list[tuple[float, float]]:
    """The points of a line, without those in the middle of a straight stretch."""
    points = [(round(across(float(a)), 1), round(up(float(b)), 1)) for a, b in zip(x, y, strict=True) if np.isfinite(b)]
    kept = points[:1]
    for (x0, y0), (_, y1) in itertools.pairwise(points):
        level = y0 == kept[-1][1]
        if (not level or y1 != y0) and (not level or x0 - kept[-1][0] >= 0.4):
            kept.append((x0, y0))
    return [*kept, points[-1]]


# ── one seed ─────────────────────────────────────────────────────────────────────────────────────────────

ONE_SEED = {
    "title": ("The MCC of one seed, and of {n} seeds", "一个种子的 MCC 与 {n} 个种子的 MCC"),
    "caption": (
        "{n} trainings of minilm on CoLA that differ only by their seed have test MCCs from {low:.3f} to {high:.3f};"
        " the score is their mean, {mean:.3f}, with the 95 % interval [{from_:.3f}, {to:.3f}], and the best one,"
        " which gets quoted, is {luck:.3f} above it.",
        "minilm 在 CoLA 上训练 {n} 次，只有随机种子不同，测试 MCC 从 {low:.3f} 到 {high:.3f}；应报告的是平均值"
        " {mean:.3f}（95 % 置信区间 [{from_:.3f}, {to:.3f}]），而常被引用的最好一次比它高 {luck:.3f}。",
    ),
    "about": (
        "minilm on CoLA, out-of-domain dev set; all settings but the seed are equal",
        "minilm 在 CoLA 域外开发集上；除种子外设置相同",
    ),
    "seed": ("seed", "种子"),
    "axis": ("MCC", "MCC"),
    "best": ("this one gets quoted", "常被引用的是这一次"),
    "mean": ("mean {mean:.3f}", "平均 {mean:.3f}"),
    "interval": ("95 % interval of the mean over seeds", "各种子平均值的 95 % 置信区间"),
    "own": ("95 % interval of one training, from its test sentences", "单次训练由测试句得到的 95 % 置信区间"),
}


def measure_seeds() -> Facts:
    """Scores of ten seeds as recorded in records/scores.md, and their mean with its interval."""
    runs = sorted(seeds_on_record("Ten seeds of `minilm`"), key=lambda run: run[1])
    found = spread([score for _, score, *_ in runs])
    assert found is not None
    assert found.interval is not None
    return {
        "runs": runs, "n": len(runs), "mean": found.mean, "low": found.low, "high": found.high,
        "from_": found.interval.low, "to": found.interval.high, "luck": found.high - found.mean,
    }  # fmt: skip


def draw_seeds(drawing: Drawing, words: Words, facts: Facts) -> None:
    """A row for each seed, lowest first: a dot with its interval; the mean's interval as a band behind."""
    drawing.note(words("about"))
    across = Scale(0.05, 0.45, MARGIN + 60, RIGHT - 4)
    drawing.y += 18
    top, base = drawing.y + 8, drawing.y + 20 + 26 * facts["n"]
    drawing.text(MARGIN, drawing.y, words("seed"), size=SMALL, colour="muted")
    band = across(facts["from_"]), across(facts["to"])
    drawing.box(band[0], top, band[1] - band[0], base - top, fill="c0", stroke=None, tint=True, radius=0)
    drawing.line([(across(facts["mean"]), top), (across(facts["mean"]), base)], "c0", width=2)
    drawing.text(across(facts["mean"]), drawing.y, words("mean", **facts), colour="c0", anchor="middle", bold=True)
    for number, (seed, score, low, high) in enumerate(facts["runs"]):
        y = top + 19 + 26 * number
        best = number == facts["n"] - 1
        colour = "c1" if best else "ink"
        drawing.text(MARGIN, y + 5, str(seed), size=SMALL, colour="c1" if best else "muted", bold=best)
        drawing.line([(across(low), y), (across(high), y)], "c1" if best else "muted", width=1)
        drawing.dot(across(score), y, colour, radius=6 if best else 5)
    drawing.ticks_below(across, base, [(at / 10, f"{at / 10:.1f}") for at in range(1, 5)])
    drawing.text(across(facts["runs"][-1][3]) + 9, y + 5, f"{facts['high']:.3f}", colour="c1", bold=True)
    drawing.text(MARGIN, base + 19, words("axis"), size=SMALL, colour="muted")
    drawing.y = base + 48
    entries = [("dot", "c1", words("best")), ("band", "c0", words("interval")), ("thin", "muted", words("own"))]
    drawing.legend(MARGIN, drawing.y, entries)
    drawing.y += 64


FIGURES = (
    Figure("batch-scores", BATCHES, measure_batches, draw_batches, ("cola",)),
    Figure("softmax", SOFTMAX, measure_softmax, draw_softmax),
    Figure("one-seed", ONE_SEED, measure_seeds, draw_seeds),
)
