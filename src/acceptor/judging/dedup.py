"""What has been judged in one block of chunks, so that a sentence that comes again is not judged again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acceptor.data.writing.parts import Parts

KEY = 16  # bytes of a sentence's hash; a byte of flags stands behind them


class Block:
    """What has been judged in one block.

    One thread adds chunk after chunk, another one judges them: what a thread needs of the other stands there before.

    Attributes:
        number: Its place among all blocks, from 0.
        slots: Where the scores of a sentence (hashed, with its second) stand.
        next: The first chunk that is not yet in.
        flags: For each slot, what `acceptor.judging.predict` has noted of its text.
    """

    def __init__(self, number: int, first: int, labels: int) -> None:
        """Begins a block whose first chunk has the number ``first``."""
        self.number, self.next = number, first
        self.slots: dict[bytes, int] = {}
        self.flags = bytearray()
        self._nothing = np.zeros((0, labels), dtype=np.float32)
        self._scores: dict[int, npt.NDArray[np.float32]] = {}  # of each chunk's new sentences, by their first slot

    def restore(self, parts: Parts, chunk: int) -> None:
        """Takes in what earlier processes have judged for the chunks before this one."""
        for done in range(self.next, chunk):
            keys, scores = parts.scores(done)
            start = len(self.slots)
            self.add(start, scores)
            self.slots |= {key[:KEY].tobytes(): start + index for index, key in enumerate(keys)}
            self.flags += keys[:, KEY].tobytes()
        self.next = chunk + 1

    def add(self, start: int, scores: npt.NDArray[np.float32]) -> None:
        """The scores of sentences whose slots begin at ``start``: float32, shape (new, labels)."""
        if len(scores):  # else the next chunk's slots begin there, too
            self._scores[start] = scores

    def scores(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The scores at some slots, all of which have been added: float32, shape (len(slots), labels)."""
        return np.concatenate([self._nothing, *(self._scores[start] for start in sorted(self._scores))])[slots]
