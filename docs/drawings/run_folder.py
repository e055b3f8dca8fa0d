"""A diagram of a run folder: its files, what they hold, and what reads them."""

from __future__ import annotations

from drawings.canvas import MARGIN, RIGHT, SMALL, Drawing, Words, lines_of
from drawings.figure import Facts, Figure
from drawings.sources import files_of_a_run

WORDS = {
    "title": ("A run folder: its files and who reads them", "运行文件夹：有哪些文件，谁来读取"),
    "caption": (
        "A finished run is a folder of {n} files, which Transformers loads as it is: the judge, the record of the"
        " training, the scores and verdicts, pages for people, and the manifest with the sha256 of all others, written"
        " last; report.html and its figures, which are added afterwards, are not in it.",
        "完成的运行是一个含 {n} 个文件的文件夹，Transformers 可直接加载：judge、训练记录、分数与判定、供人阅读的页面，"
        "以及最后写入的清单（其余所有文件的 sha256）；随后添加的 report.html 及其图不在清单中。",
    ),
    "judge": ("The judge", "judge"),
    "judge_by": ("read by load, and by Transformers", "由 load 和 Transformers 读取"),
    "model.safetensors": ("weights", "权重"),
    "config.json": ("architecture", "网络结构"),
    "tokenizer.json": ("vocabulary", "词表"),
    "tokenizer_config.json": ("special tokens", "特殊词元"),
    "judge.json": ("labels, threshold, encoder", "标签、阈值、编码器"),
    "record": ("The training", "训练"),
    "record_by": ("read by report, seeds, evaluate", "由 report、seeds、evaluate 读取"),
    "run.json": ("settings, reasons, versions", "设置、理由、版本"),
    "history.jsonl": ("every step and epoch", "每一步与每个 epoch"),
    "train_hashes.safetensors": ("to find leaks later", "供日后查泄漏"),
    "scores": ("The scores", "分数"),
    "scores_by": ("read by compare, report, seeds", "由 compare、report、seeds 读取"),
    "report.json": ("scores, intervals, slices", "分数、置信区间、切片"),
    "predictions.parquet": ("one verdict per example", "每个样本一个判定"),
    "people": ("For people", "供人阅读"),
    "people_by": ("read in a browser or on a hub", "在浏览器或模型仓库中阅读"),
    "README.md": ("model card", "模型卡"),
    "figures/loss.svg": ("loss by step", "每一步的损失"),
    "figures/loss.png": ("the same as pixels", "同上，位图"),
    "report.html": ("added last; not in the manifest", "最后添加；不在清单中"),
    "whole": ("The whole", "整体"),
    "whole_by": ("read first, by all of them", "以上各项都先读取它"),
    "manifest.json": ("sha256 of all files, written last", "所有文件的 sha256，最后写入"),
}
GROUPS = {
    "judge": ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "judge.json"),
    "record": ("run.json", "history.jsonl", "train_hashes.safetensors"),
    "scores": ("report.json", "predictions.parquet"),
    "people": ("README.md", "figures/loss.svg", "figures/loss.png", "report.html"),
    "whole": ("manifest.json",),
}
LATER = {"report.html"}  # written after the manifest: by most commands that train, and by `acceptor report`


def measure() -> Facts:
    """The number of files; the list above must be that of the tests."""
    shown = {file for group in GROUPS.values() for file in group} - LATER
    assert shown == files_of_a_run(), shown ^ files_of_a_run()
    return {"n": len(shown)}


def draw(drawing: Drawing, words: Words, _: Facts) -> None:
    """A box for each group of files: heading and readers, then a row for each file."""
    for group, files in GROUPS.items():
        height = 42 + 24 * len(files)
        drawing.box(MARGIN, drawing.y, RIGHT - MARGIN, height, stroke="c0" if group == "whole" else "line")
        drawing.text(MARGIN + 14, drawing.y + 24, words(group), bold=True)
        (readers,) = lines_of(words(f"{group}_by"), 300, SMALL)
        drawing.text(RIGHT - 14, drawing.y + 24, readers, size=SMALL, colour="c0", anchor="end")
        for number, file in enumerate(files):
            y = drawing.y + 49 + 24 * number
            drawing.text(MARGIN + 14, y, file, size=SMALL, mono=True, colour="muted" if file in LATER else "ink")
            drawing.text(MARGIN + 232, y, words(file), size=SMALL, colour="muted")
        drawing.y += height + 12
    drawing.y += 2


FIGURES = (Figure("run-folder", WORDS, measure, draw),)
