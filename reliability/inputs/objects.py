"""Root 5: what a judge and `load_data` are given in Python; judges that travel between processes and threads."""

from __future__ import annotations

from reliability.inputs.case import Case, asserts
from reliability.inputs.judges import raises

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
        found.append(_one(f"judge({what}): DataError", IMPORTS + raises(f"{LOAD}judge({code})")))
    for library in ("pd", "pl"):
        frame = f"{library}.DataFrame({{'label': ['1', '0'], 'sentence': ['the cats sleep.', 'the cat them.']}})"
        found.append(
            _one(
                f"judge({library}.DataFrame) takes its sentences, or asks",
                f"{IMPORTS}{LOAD}given = {frame}\ntry:\n    {wanted}\nexcept acceptor.DataError as e:\n    assert 'annotate' in str(e) or 'column' in str(e), e",
            )
        )
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
            IMPORTS
            + raises("judge = acceptor.load('{pairs}', device='cpu', precision='fp32')\njudge(['the cats.'], 'x')"),
        )
    )
    found.append(
        _one(
            "judge of pairs: other lengths",
            IMPORTS
            + raises(
                "judge = acceptor.load('{pairs}', device='cpu', precision='fp32')\njudge(['the cats.'], ['x', 'y'])",
                "number|length|2",
            ),
        )
    )
    return found


def _tables() -> list[Case]:
    """annotate, load_data and AcceptorClassifier with what is no text."""
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
        _one("annotate(frame of integers): DataError", IMPORTS + raises(f"{LOAD}judge.annotate({integers})")),
        _one(
            "annotate(frame with a missing text): DataError",
            IMPORTS + raises(f"{LOAD}judge.annotate(pd.DataFrame({{'sentence': ['a b', None]}}))"),
        ),
        _one("annotate(list): DataError", IMPORTS + raises(f"{LOAD}judge.annotate(['the cats sleep.'])")),
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
    first = "a = judge(['the cats sleep.', 'the cat them.'])\n"
    same = "assert [v.label for v in b] == [v.label for v in a] and all(abs(x - y) < 1e-5 for v, w in zip(a, b) for x, y in zip(v.logits, w.logits))"
    again = "b = other(['the cats sleep.', 'the cat them.'])\n" + same
    found = []
    for kind in ("run", "onnx", "pairs"):
        load = LOAD.replace("{run}", f"{{{kind}}}").replace(
            ", precision='fp32'", "" if kind == "onnx" else ", precision='fp32'"
        )
        seconds = ", ['the book.'] * 2" if kind == "pairs" else ""
        one, two = first.replace("'])", f"']{seconds})"), again.replace("'])", f"']{seconds})", 1)
        for way, code in (
            ("pickle", "import pickle\nother = pickle.loads(pickle.dumps(judge))\n"),
            ("copy.copy", "import copy\nother = copy.copy(judge)\n"),
            ("copy.deepcopy", "import copy\nother = copy.deepcopy(judge)\n"),
        ):
            found.append(
                _one(f"{way} of a judge ({kind}) that has judged", load + one + code + two, slow=kind == "onnx")
            )
    spawn = "import acceptor, multiprocessing\n\ndef ask(judge):\n    return [v.label for v in judge(['the cats sleep.', 'the cat them.'])]\n\nif __name__ == '__main__':\n    judge = acceptor.load('{KIND}', device='cpu')\n    a = ask(judge)\n    with multiprocessing.get_context('HOW').Pool(2) as pool:\n        assert pool.map(ask, [judge] * 3) == [a] * 3\n"
    for how in ("spawn", "forkserver", "fork"):
        found.append(
            _one(f"a judge sent to a {how} pool", spawn.replace("HOW", how).replace("KIND", "run"), process=True)
        )
    found.append(
        _one(
            "an exported judge sent to a spawn pool",
            spawn.replace("HOW", "spawn").replace("KIND", "onnx"),
            process=True,
        )
    )
    executor = (
        spawn.replace(
            "multiprocessing.get_context('HOW').Pool(2) as pool",
            "ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('spawn')) as pool",
        )
        .replace("import multiprocessing", "import multiprocessing")
        .replace("pool.map(ask, [judge] * 3)", "list(pool.map(ask, [judge] * 3))")
        .replace("import acceptor,", "from concurrent.futures import ProcessPoolExecutor\nimport acceptor,")
        .replace("KIND", "run")
    )
    found.append(_one("a judge sent to a ProcessPoolExecutor", "import os\n" + executor, process=True))
    joblib = (
        "import acceptor, joblib\n"
        + LOAD
        + first
        + "joblib.dump(judge, 'j.joblib')\nother = joblib.load('j.joblib')\n"
        + again
    )
    found.append(_one("joblib.dump and load", joblib))
    parallel = (
        "import acceptor\nfrom joblib import Parallel, delayed\n"
        + LOAD
        + first
        + "c = Parallel(n_jobs=2)(delayed(judge)(['the cats sleep.', 'the cat them.']) for _ in range(3))\nb = c[2]\n"
        + same
    )
    found.append(_one("joblib.Parallel", parallel, process=True))
    threads = (
        "import acceptor\nfrom concurrent.futures import ThreadPoolExecutor\n"
        + LOAD
        + "short, long = ['the cats sleep.'] * 20, ['the cats see John ' * 60] * 4\na, b = judge(short)[0].label, judge(long)[0].label\nwith ThreadPoolExecutor(8) as pool:\n    found = list(pool.map(lambda n: judge(long if n % 2 else short)[0].label, range(200)))\nassert found == [b if n % 2 else a for n in range(200)]"
    )
    found.append(_one("one judge, eight threads, 200 calls", threads))
    frozen = (
        "import acceptor, pickle\n"
        + LOAD
        + "pickle.loads(pickle.dumps(judge))\nrun = judge(['the cats sleep.'])\nassert pickle.loads(pickle.dumps(run)) == run"
    )
    found.append(_one("pickle of a judge that has not judged, and of verdicts", frozen))
    return found
