"""Root 5: Python inputs of a judge and `load_data`; judges in other processes and threads."""

from __future__ import annotations

from reliability.inputs.case import Case, asserts
from reliability.inputs.judges import raises
from reliability.inputs.programs import COPIES, EIGHT_THREADS, FRAME, FROZEN, JOBLIB, PARALLEL, POOL, with_words

LOAD = "judge = acceptor.load('{run}', device='cpu', precision='fp32')\n"


def cases() -> list[Case]:
    """All of them."""
    return [*_inputs(), *_tables(), *_travels()]


def _one(what: str, code: str, **more: bool) -> Case:
    return Case(5, what, code if code.startswith("import") else "import acceptor\n" + code, asserts, **more)


GOOD = {
    "a list": "['the cats sleep.', 'the cat them.']",
    "a tuple": "('the cats sleep.', 'the cat them.')",
    "a NumPy array of str": "np.array(['the cats sleep.', 'the cat them.'])",
    "a NumPy array of objects": "np.array(['the cats sleep.', 'the cat them.'], dtype=object)",
    "a pandas Series": "pd.Series(['the cats sleep.', 'the cat them.'])",
    "a pandas Series with its own index": "pd.Series(['the cats sleep.', 'the cat them.'], index=[7, 3])",
    "a polars Series": "pl.Series(['the cats sleep.', 'the cat them.'])",
    "an Arrow array": "pa.array(['the cats sleep.', 'the cat them.'])",
}
IMPORTS = "import acceptor, io\nimport numpy as np, pandas as pd, polars as pl, pyarrow as pa\n"
BAD = {
    "a set": "{'the cats sleep.', 'a'}",
    "a dict": "{'a': 'the cats sleep.'}",
    "a generator": "(s for s in ['the cats sleep.'])",
    "None": "None",
    "a file": "io.StringIO('the cats sleep.')",
    "half an emoji": "['the cats \\ud83d']",
    "a number": "7",
    "bytes": "b'the cats sleep.'",
    "a list of bytes": "[b'the cats sleep.']",
    "a list with None": "['the cats sleep.', None]",
    "a list with NaN": "['the cats sleep.', float('nan')]",
    "a list of integers": "[1, 2]",
    "a list of lists": "[['the cats sleep.']]",
    "a nested tuple": "[('the cats sleep.', 'a')]",
    "a string": "'the cats sleep.'",
    "a NumPy array of numbers": "np.array([1, 2])",
    "a 2-d array": "np.array([['a b', 'c d']])",
    "a Series of integers": "pd.Series([1, 2])",
    "a Series with a missing text": "pd.Series(['the cats sleep.', None])",
    "a frame without a known column": "pd.DataFrame({'a': ['x'], 'b': ['y']})",
    "a map": "map(str, ['a'])",
    "dict keys": "{'the cats sleep.': 1}.keys()",
    "an empty string in a list": "['the cats sleep.', '']",
}


def _inputs() -> list[Case]:
    found = []
    wanted = "assert [v.label for v in judge(given)] == [v.label for v in judge(['the cats sleep.', 'the cat them.'])]"
    for what, code in GOOD.items():
        found.append(_one(f"judge({what})", f"{IMPORTS}{LOAD}given = {code}\n{wanted}"))
    for what, code in BAD.items():
        found.append(_one(f"judge({what}): DataError", raises(f"{LOAD}judge({code})", imports=IMPORTS)))
    for library in ("pd", "pl"):
        what = f"judge({library}.DataFrame) takes its sentences, or asks"
        found.append(_one(what, with_words(FRAME, LIBRARY=library)))
    found.append(_one("judge([]) is []", f"{LOAD}assert judge([]) == []"))
    found.append(
        _one(
            "judge of pairs: seconds as a Series",
            f"{IMPORTS}judge = acceptor.load('{{pairs}}', device='cpu', precision='fp32')\nassert len(judge(['the cats.'], pd.Series(['the book.']))) == 1",
        )
    )
    found.append(
        _one(
            "judge of pairs: seconds is a string",
            raises(
                "judge = acceptor.load('{pairs}', device='cpu', precision='fp32')\njudge(['the cats.'], 'x')",
                imports=IMPORTS,
            ),
        )
    )
    found.append(
        _one(
            "judge of pairs: other lengths",
            raises(
                "judge = acceptor.load('{pairs}', device='cpu', precision='fp32')\njudge(['the cats.'], ['x', 'y'])",
                "number|length|2",
                imports=IMPORTS,
            ),
        )
    )
    return found


def _tables() -> list[Case]:
    """annotate, load_data and AcceptorClassifier with objects that are not text."""
    integers = "pd.DataFrame({'sentence': [1, 2]})"
    good = "pd.DataFrame({'sentence': ['the cats sleep.', 'the cat them.'], 'n': [1, 2]})"
    data = {
        "a set": "{('a', '1')}",
        "a generator": "(x for x in [('a', '1')])",
        "None": "None",
        "a number": "7",
        "a dict of lists": "{'sentence': ['a', 'b'], 'label': [0, 1]}",
        "a file object": "io.StringIO('a')",
        "a tuple of two lists": "(['a', 'b'], [0, 1])",
        "half an emoji": "[('a \\ud83d', '1'), ('b', '0')]",
        "a list with None": "[('a', '1'), None]",
    }
    fit = "from acceptor.integrations.sklearn import AcceptorClassifier\nclf = AcceptorClassifier(encoder='{encoder}', epochs=1, device='cpu')\n"
    found = [
        _one("annotate(frame of integers): DataError", raises(f"{LOAD}judge.annotate({integers})", imports=IMPORTS)),
        _one(
            "annotate(frame with a missing text): DataError",
            raises(f"{LOAD}judge.annotate(pd.DataFrame({{'sentence': ['a b', None]}}))", imports=IMPORTS),
        ),
        _one("annotate(list): DataError", raises(f"{LOAD}judge.annotate(['the cats sleep.'])", imports=IMPORTS)),
        _one(
            "annotate(frame): columns and types stay",
            f"{IMPORTS}{LOAD}out = judge.annotate({good})\nassert list(out['n']) == [1, 2] and 'verdict' in out.columns",
        ),
        _one(
            "annotate(frame whose text column is category)",
            f"{IMPORTS}{LOAD}out = judge.annotate({good}.astype({{'sentence': 'category'}}))\nassert 'verdict' in out.columns",
        ),
        _one(
            "annotate(frame with no rows)",
            f"{IMPORTS}{LOAD}out = judge.annotate({good}[:0])\nassert 'verdict' in out.columns and len(out) == 0",
        ),
    ]
    for what, code in data.items():
        found.append(
            _one(
                f"load_data({what}): rows or DataError",
                f"{IMPORTS}try:\n    acceptor.load_data({code})\nexcept acceptor.AcceptorError:\n    pass",
            )
        )
    for what, code in {
        "None": "None, None",
        "integers": "[1, 2], [0, 1]",
        "a generator": "(x for x in 'ab'), [0, 1]",
    }.items():
        found.append(
            _one(
                f"AcceptorClassifier.fit({what}): ValueError",
                f"{IMPORTS}{fit}try:\n    clf.fit({code})\nexcept ValueError:\n    pass\nelse:\n    raise SystemExit('taken')",
                slow=True,
            )
        )
    return found


def _travels() -> list[Case]:
    """pickle, spawn, joblib, copy of a judge that has judged."""
    found = []
    for kind in ("run", "onnx", "pairs"):
        seconds = ", ['the book.'] * 2" if kind == "pairs" else ","
        for way, code in (
            ("pickle", "pickle.loads(pickle.dumps(judge))"),
            ("copy.copy", "copy.copy(judge)"),
            ("copy.deepcopy", "copy.deepcopy(judge)"),
        ):
            program = with_words(COPIES, KIND=kind, WAY=code, SECONDS=seconds)
            found.append(_one(f"{way} of a judge ({kind}) that has judged", program, slow=kind == "onnx"))
    for kind, way in (("run", "spawn"), ("run", "forkserver"), ("run", "fork"), ("onnx", "spawn")):
        program = with_words(POOL, POOL="context.Pool(2)", KIND=kind, WAY=way)
        found.append(_one(f"a judge ({kind}) sent to a {way} pool", program, process=True))
    executor = with_words(POOL, POOL="ProcessPoolExecutor(2, mp_context=context)", KIND="run", WAY="spawn")
    found += [
        _one("a judge sent to a ProcessPoolExecutor", executor, process=True),
        _one("joblib.dump and load", with_words(JOBLIB)),
        _one("joblib.Parallel", with_words(PARALLEL), process=True),
        _one("one judge, eight threads, 200 calls", with_words(EIGHT_THREADS)),
        _one("pickle of a judge that has not judged, and of verdicts", with_words(FROZEN)),
    ]
    return found
