"""Text as data: reading, corpora, splits, audit."""
