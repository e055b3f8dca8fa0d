"""One judge, eight threads, two thousand calls each, with texts shorter and longer than its longest input."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from reliability.inputs.kit import Kit

THREADS, CALLS = 8, 2000
TEXTS = {
    "short": ["the cats sleep."] * 3,
    "long": ["the cats see John " * 60] * 2,
    "mixed": ["the cat them.", "the cats see John " * 60, "the book is there."],
}


def tried(kit: Kit, calls: int = CALLS, kind: str = "run") -> tuple[Counter[str], int, int]:
    """How calls from eight threads ended ("right", or an error's words), and torch's threads before and after.

    Args:
        kit: Where the judge is from.
        calls: Of each thread.
        kind: Which judge of the kit: ``run`` or ``onnx``.
    """
    import torch

    import acceptor

    how = {} if kind == "onnx" else {"precision": "fp32"}
    judge = acceptor.load(kit[kind], device="cpu", **how)
    before = torch.get_num_threads()
    expected = {name: judge(texts) for name, texts in TEXTS.items()}
    names = list(TEXTS)

    def ask(thread: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for call in range(calls):
            name = names[(thread + call) % len(names)]
            try:
                verdicts = judge(TEXTS[name])
            except Exception as error:  # the count of these is what is measured
                found[f"{type(error).__name__}: {str(error)[:80]}"] += 1
            else:
                found["right" if _alike(verdicts, expected[name]) else "another answer"] += 1
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        total = sum(pool.map(ask, range(THREADS)), Counter())
    return total, before, torch.get_num_threads()


def _alike(verdicts: list, expected: list) -> bool:
    """The same labels, and logits that differ no more than by another order of summation."""
    if [one.label for one in verdicts] != [one.label for one in expected]:
        return False
    pairs = [
        (x, y)
        for one, other in zip(verdicts, expected, strict=True)
        for x, y in zip(one.logits, other.logits, strict=True)
    ]
    return all(abs(x - y) < 1e-4 for x, y in pairs)
