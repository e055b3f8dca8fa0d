"""Judges equal inputs once: in one call, and in the chunks of one block of a file.

Used for files, documents, frames, minimal pairs and Ray's actors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acceptor.data.python_inputs import by_position
from acceptor.errors import DataError
from acceptor.judging.decision import Logits
from acceptor.model.batches import Rows
from acceptor.model.coverage import flags_of
from acceptor.model.encode import Encoded

if TYPE_CHECKING:
    from acceptor.judging.judge import Judge

KEY = 16  # bytes of an input's hash; a byte of flags follows


@dataclass(frozen=True, eq=False)
class Inputs:
    """N inputs, with equal ones merged.

    Attributes:
        slots: int64, shape (N,): the position in the cache of each input's logits.
        flags: uint8, shape (N,): `flags_of` each input.
        new: The token ids of the inputs that the cache did not hold. Their slots are consecutive, from ``start`` on.
        start: See ``new``.
        keys: uint8, shape (new, 17): the hash and the flags of each new input.
    """

    slots: npt.NDArray[np.int64]
    flags: npt.NDArray[np.uint8]
    new: Encoded
    start: int
    keys: npt.NDArray[np.uint8]


class LogitsCache:
    """The logits of all inputs that were given to it, each computed once.

    One thread may `encode` the next inputs while another one computes the `logits` of those before.
    """

    def __init__(self, judge: Judge) -> None:
        """Makes an empty cache.

        Args:
            judge: Computes the logits that are not in the cache yet.
        """
        self.judge = judge
        self._slots: dict[bytes, int] = {}  # by hash
        self._flags = bytearray()  # by slot
        self._logits: dict[int, Logits] = {}  # of consecutive slots, by the first of them

    def encode(
        self,
        sentences: Sequence[str],
        seconds: Sequence[str] | None = None,
        *,
        place: Callable[[int], str] = by_position,
        refuse: bool = True,
    ) -> Inputs:
        """Looks up the sentences (or pairs), and encodes those that are not there yet.

        Args:
            sentences: N texts.
            seconds: The N second sentences of pairs.
            place: Gives the place of an input, for errors.
            refuse: False if the caller handles the flags itself.

        Raises:
            DataError: As `Judge.encode`.
        """
        texts = sentences if seconds is None else list(map("\0".join, zip(sentences, seconds, strict=True)))
        start = len(self._slots)
        slots = np.empty(len(texts), dtype=np.int64)
        found: dict[bytes, int] = {}  # the slots of new inputs by hash; kept only if none of them is refused
        here: dict[str, int] = {}  # by text, so that repeated texts are hashed once
        rows: list[int] = []  # of new inputs
        keys = bytearray()
        for row, text in enumerate(texts):
            slot = here.get(text, -1)
            if slot < 0:
                key = hashlib.blake2b(text.encode(), digest_size=KEY).digest()
                if key not in self._slots and key not in found:
                    found[key] = start + len(rows)
                    rows.append(row)
                    keys += key
                slot = here[text] = found[key] if key in found else self._slots[key]
            slots[row] = slot
        try:
            new = self.judge.encode(
                [sentences[row] for row in rows],
                None if seconds is None else [seconds[row] for row in rows],
                place=lambda number: place(rows[number]),
                refuse=refuse,
            )
        except DataError as error:  # its positions are among the new inputs
            refused = [start + number for number in error.positions]
            error.positions = np.flatnonzero(np.isin(slots, refused)).tolist()
            raise
        flags = flags_of(new)
        self._slots |= found
        self._flags += flags.tobytes()
        hashed = np.column_stack([np.frombuffer(bytes(keys), dtype=np.uint8).reshape(-1, KEY), flags])
        return Inputs(slots, np.frombuffer(bytes(self._flags), dtype=np.uint8)[slots], new, start, hashed)

    def add(self, inputs: Inputs, on_batch: Callable[[Rows], None] | None = None) -> Logits:
        """Judges the new inputs: float32, shape (new, labels). ``on_batch``: see `Judge.logits_of`."""
        logits = np.zeros((0, len(self.judge.labels)), dtype=np.float32)
        if len(inputs.new):
            logits = self.judge.logits_of(inputs.new, on_batch)
        self._put(inputs.start, logits)
        return logits

    def restore(self, keys: npt.NDArray[np.uint8], logits: Logits) -> None:
        """Adds the results of another process: the `Inputs.keys` of its inputs, and their logits."""
        start = len(self._slots)
        self._put(start, logits)
        self._slots |= {key[:KEY].tobytes(): start + index for index, key in enumerate(keys)}
        self._flags += keys[:, KEY].tobytes()

    def logits(self, slots: npt.NDArray[np.int64]) -> Logits:
        """The logits at some slots, all of which have been added: float32, shape (len(slots), labels)."""
        nothing = np.zeros((0, len(self.judge.labels)), dtype=np.float32)
        return np.concatenate([nothing, *(self._logits[start] for start in sorted(self._logits))])[slots]

    def _put(self, start: int, logits: Logits) -> None:
        if len(logits):  # else the next inputs would get the same slots
            self._logits[start] = logits
