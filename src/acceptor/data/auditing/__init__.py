"""Checks a corpus, and reports what an audit finds.

``inspection`` checks labels and texts whenever a corpus is loaded. The others are for ``acceptor audit``: ``audit``
gives sizes, balance and a sample; ``findings`` lists what may be wrong, with ``duplicates`` (equal texts) and
``near_duplicates`` (similar ones). Training keeps the hashes of ``duplicates`` so that reports can count leaks.
"""
