"""Counts the rows that a command read, wrote, left out and rejected."""

from __future__ import annotations

from dataclasses import dataclass

from acceptor.errors import DataError
from acceptor.text import rows_of, shell


@dataclass(frozen=True, repr=False)
class Tally:
    """The counts of a call of `predict`: rows = written + left_out + rejected.

    If documents are split into sentences, a row is a sentence, and documents are counted separately: all but those
    ``unread`` were split.

    Attributes:
        rows: Rows read; or sentences found.
        written: Rows with a verdict in the output.
        left_out: Rows with a verdict that the condition did not keep.
        rejected: Rows that cannot be judged; ``OUT.rejected.jsonl`` names them.
        judged: Sentences (or pairs) that were computed; the others are equal to one before them in their block.
        documents: Documents read; 0 if rows are sentences.
        unread: Documents that could not be read; ``OUT.rejected.jsonl`` names them, too.
        unknown: Rows with a verdict whose text has unknown tokens.
        truncated: Rows with a verdict whose text is longer than the judge's longest input; its end was not read.
    """

    rows: int = 0
    written: int = 0
    left_out: int = 0
    rejected: int = 0
    judged: int = 0
    documents: int = 0
    unread: int = 0
    unknown: int = 0
    truncated: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: count + getattr(other, name) for name, count in vars(self).items()})

    def __repr__(self) -> str:
        return f"Tally({self})"

    def check_any_judged(self, rejected: str) -> None:
        """Refuses a result in which all rows were rejected.

        Raises:
            DataError: All were rejected; ``rejected`` is the file that names them.
        """
        if self.rejected + self.unread and not self.written + self.left_out:
            raise DataError(
                "no row could be judged and written",
                where=rejected,
                found=str(self),
                cause="the file of rejected rows names the reason for each",
                next=f"look at it: head -3 {shell(rejected)}",
                code="E-DATA-REJECTED",
            )

    def __str__(self) -> str:
        left_out = f" + {self.left_out:,} left out" if self.left_out else ""
        rows = f"{self.written:,} out{left_out} + {self.rejected:,} rejected"
        if self.unknown:
            rows += f"; {self.unknown:,} hold what the encoder's vocabulary does not know"
        if self.truncated:
            rows += f"; {self.truncated:,} longer than the judge reads, ends not judged"
        if not self.documents:
            return f"{rows_of(self.rows)} in = {rows}"
        cut = f"{self.documents - self.unread:,} cut + {self.unread:,} rejected"
        return f"{self.documents:,} documents in = {cut}; {self.rows:,} sentences = {rows}"

    def to_dict(self) -> dict[str, int]:
        """All counts by name; those of documents only if there are any."""
        names = [name for name in vars(self) if self.documents or name not in ("documents", "unread")]
        return {name: getattr(self, name) for name in names}
