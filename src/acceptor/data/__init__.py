"""Corpora: reading, labels, splits, audit, writing.

In the order in which data pass through them: ``reading`` makes a ``table``; ``corpora``, ``corpus_folder`` and
``starter`` make the tables of a named corpus or a folder; ``auditing`` checks them; ``labels`` gives label ids;
``load`` combines these in `load_data`; ``split`` cuts a validation split; ``writing`` writes tables to files.

Beside these: ``python_inputs`` and ``frames`` take texts from Python objects, ``documents`` splits them into sentences,
``suite`` loads minimal pairs, ``annotations`` joins features to a split, ``word_counts`` counts words.
"""
