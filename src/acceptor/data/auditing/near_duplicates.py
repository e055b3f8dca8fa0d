"""Near duplicates by MinHash and banding (Broder 1997; Leskovec, Rajaraman & Ullman, chapter 3), in linear time.

Candidates come from hashes; their exact Jaccard similarity is then computed, so that none is reported falsely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acceptor.data.auditing.duplicates import BETWEEN

SHINGLE = 3  # characters
NEAR = 0.8  # Jaccard similarity of the two sets of shingles, at least
BANDS, WIDTH = 10, 4  # a pair at .8 shares one of 10 bands of 4 hashes with probability 1 - (1 - .8⁴)¹⁰ = .995
NEIGHBOURS = 4  # rows of one bucket that a row is compared with: all of them would be N² work
KEPT = 3  # candidates of a row whose exact similarity is computed
WORTH_A_LOOK = 0.6  # estimated similarity; of 40 hashes at .8 fewer than 24 agree once in 500 times
_CHUNK = 1 << 21  # characters that are hashed at once

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Signatures:
    """The texts and their MinHash signatures, uint32, shape (N, BANDS · WIDTH)."""

    texts: Sequence[str]
    values: npt.NDArray[np.uint32]

    def band(self, number: int) -> npt.NDArray[np.uint64]:
        """One number for each text; texts with the same one share a bucket of this band. uint64, shape (N,)."""
        keys = np.zeros(len(self.values), dtype=np.uint64)
        for column in range(number * WIDTH, (number + 1) * WIDTH):
            keys = (keys ^ self.values[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        return keys


def signatures(texts: Sequence[str]) -> Signatures:
    """MinHash signatures of the texts' shingles."""
    rng = np.random.default_rng(0)
    factors = rng.integers(1, 1 << 63, size=BANDS * WIDTH, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    values = np.empty((len(texts), BANDS * WIDTH), dtype=np.uint32)
    for first, last in _chunks(texts):
        hashes, starts = _shingle_hashes(texts[first:last])
        for column, factor in enumerate(factors):
            mixed = ((hashes * factor) >> np.uint64(32)).astype(np.uint32)
            values[first:last, column] = np.minimum.reduceat(mixed, starts)
    return Signatures(texts, values)


def near_rows(ours: Signatures, others: Signatures | None = None) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
    """Rows with a near duplicate: (rows, their partners, Jaccard similarities).

    One partner for each row: among earlier rows, or among ``others`` where they are given. Some may be missed (two of
    1,254 in CoLA's train); those that are found have a similarity of `NEAR` at least.
    """
    earlier = ours if others is None else others
    best = np.full((len(ours.texts), KEPT), -1.0)  # estimated similarities of the likeliest partners
    partner = np.full((len(ours.texts), KEPT), -1)
    for band in range(BANDS):
        for rows, candidates in _neighbours(ours.band(band), None if others is None else others.band(band)):
            new = (partner[rows] != candidates[:, None]).all(axis=1)
            rows, candidates = rows[new], candidates[new]
            likeness = (ours.values[rows] == earlier.values[candidates]).mean(axis=1)
            worst = best[rows].argmin(axis=1)
            better = likeness > best[rows, worst]
            place = rows[better], worst[better]
            best[place], partner[place] = likeness[better], candidates[better]
    found: list[tuple[int, int]] = []
    similarities: list[float] = []
    for row in np.flatnonzero(best.max(axis=1) >= WORTH_A_LOOK).tolist():
        for slot in np.argsort(-best[row]):
            other = int(partner[row, slot])
            if best[row, slot] < WORTH_A_LOOK:
                break
            exact = similarity(ours.texts[row], earlier.texts[other])
            if exact >= NEAR:
                found.append((row, other))
                similarities.append(exact)
                break
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1], np.array(similarities, dtype=np.float64)


def similarity(text: str, other: str) -> float:
    """Jaccard similarity of two texts' sets of shingles, in [0, 1]; for pairs, the smaller one of the two sentences."""
    halves = zip(text.split(BETWEEN), other.split(BETWEEN), strict=True)
    return min(_jaccard(_shingles(a), _shingles(b)) for a, b in halves)


def _jaccard(ours: set[str], others: set[str]) -> float:
    shared = len(ours & others)
    return shared / (len(ours) + len(others) - shared)


def _shingles(text: str) -> set[str]:
    text = text.ljust(SHINGLE)
    return {text[start : start + SHINGLE] for start in range(len(text) - SHINGLE + 1)}


def _neighbours(keys: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64] | None) -> Iterator[tuple[Rows, Rows]]:
    """Rows and candidates from the same bucket: the last few rows before, or some of the others."""
    among = keys if others is None else others
    order = np.argsort(among, kind="stable")
    if others is None:
        ends = np.empty(len(keys), dtype=np.int64)
        ends[order] = np.arange(len(keys))
    else:
        ends = np.searchsorted(among[order], keys, side="right")
    for back in range(1, NEIGHBOURS + 1):
        rows = np.flatnonzero(ends >= back)
        candidates = order[ends[rows] - back]
        same = among[candidates] == keys[rows]
        yield rows[same], candidates[same]


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    first, characters = 0, 0
    for row, text in enumerate(texts):
        characters += len(text)
        if characters >= _CHUNK or row == len(texts) - 1:
            yield first, row + 1
            first, characters = row + 1, 0


def _shingle_hashes(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], Rows]:
    """A 64-bit hash of every shingle of every text, one text after the other, and where each text starts."""
    texts = [text.ljust(SHINGLE) for text in texts]
    lengths = np.array([len(text) for text in texts])
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    hashes = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for place in range(SHINGLE):
        hashes = (hashes ^ codes[place : len(hashes) + place]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    counts = lengths - SHINGLE + 1
    # The windows that reach over the end of a text into the next one are no shingles.
    inside = np.ones(len(codes), dtype=bool)
    for place in range(1, SHINGLE):
        inside[np.cumsum(lengths) - place] = False
    return hashes[inside[: len(hashes)]], np.concatenate(([0], np.cumsum(counts)[:-1]))
