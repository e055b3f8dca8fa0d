"""Root 7: real-world machines: streams, caches, schedulers' leftovers, file systems, hub folders, few rows, scripts."""

from __future__ import annotations

from reliability.inputs.case import Case, Check, Result, all_of, any_of, asserts, ends_cleanly, refused, shows
from reliability.inputs.layouts import jsonl, simple, tsv
from reliability.inputs.programs import BIG_FILE, NO_HOME, NO_LOCKS, NOBODY, PLANTED, with_words

HEAD = ("sentence", "label")
CORPUS = {"x.tsv": tsv(HEAD, simple(n=120, seed=4))}
SMALL = {"x.tsv": tsv(HEAD, simple())}
TRAIN = "--encoder {encoder} --epochs 1 --device cpu --max-length 32 --on-collapse go-on"
ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
POSIX = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "(unset)"}
LATIN = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}


def cases() -> list[Case]:
    """All of them."""
    return [*_streams(), *_caches(), *_schedulers(), *_files(), *_few()]


def _streams() -> list[Case]:
    """Stdout that is ASCII, Latin-1, closed, full, or closed by its reader."""
    commands = {
        "train": f"train x.tsv {TRAIN} --out out",
        "evaluate": "evaluate {run} x.tsv --by label --errors 3",
        "seeds": f"seeds x.tsv {TRAIN} --seeds 1 --out out",
        "doctor": "doctor",
        "audit": "audit x.tsv",
        "predict": "predict {run} s.txt",
        "judge": "judge {run} 'the cats sleep — déjà.'",
        "compare": "compare {run} {other} --data x.tsv",
        "corpora": "corpora",
        "encoders": "encoders {encoder}",
        "pairs": "pairs {run} p.tsv",
        "report": "report {copy} -o page.html",
    }
    files = {
        **CORPUS,
        "s.txt": "the cats sleep — déjà.\n这本书。 the book\n",
        "p.tsv": tsv(("sentence_good", "sentence_bad"), [("the cats — see.", "the cat them — see.")] * 4),
    }
    found = []
    for name, command in commands.items():
        run = f"acceptor {command}".replace("{copy}", "{run}")
        found.append(
            Case(
                7,
                f"{name}, stdout is ASCII",
                run,
                shows(),
                files,
                encoding="ascii",
                slow=name in ("train", "seeds", "report", "compare", "doctor"),
            )
        )
        if name in ("train", "evaluate", "doctor", "predict", "judge"):
            typed = any_of(shows(), refused()) if name == "judge" else shows()  # its sentence is not ASCII either
            found.append(Case(7, f"{name}, LC_ALL=C", run, typed, files, env=POSIX))
            found.append(
                Case(
                    7,
                    f"{name}, stdout is Latin-1",
                    run,
                    shows(),
                    files,
                    encoding="latin-1",
                    slow=name in ("train", "doctor"),
                )
            )
            found.append(
                Case(7, f"{name}, stdout is closed", f"sh -c $ACCEPTOR {command} >&-", shows(), files, process=True)
            )
        if name in ("train", "evaluate"):
            found.append(
                Case(7, f"{name}, stderr is closed", f"sh -c $ACCEPTOR {command} 2>&-", shows(), files, process=True)
            )
            found.append(
                Case(
                    7,
                    f"{name}, all streams are closed",
                    f"sh -c $ACCEPTOR {command} <&- >&- 2>&-; echo ended with $?",
                    shows("ended with 0"),
                    files,
                    process=True,
                )
            )
    return [
        *found,
        Case(
            7,
            "evaluate --json, stdout is ASCII: still JSON",
            "acceptor evaluate {run} x.tsv --json",
            lambda result: "" if result.json.get("n") == 120 else f"no JSON: {result.text[:120]}",
            CORPUS,
            encoding="ascii",
        ),
        Case(
            7,
            "evaluate --json, PYTHONIOENCODING=ascii",
            "acceptor evaluate {run} x.tsv --json",
            lambda result: "" if result.json.get("n") == 120 else f"no JSON: {result.text[:120]}",
            CORPUS,
            env=ASCII,
        ),
        Case(7, "evaluate, PYTHONIOENCODING=latin-1", "acceptor evaluate {run} x.tsv", shows(), CORPUS, env=LATIN),
        Case(
            7,
            "evaluate | head -1",
            "sh -c $ACCEPTOR evaluate {run} x.tsv | head -1 >/dev/null; echo ended",
            shows("ended"),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "predict -o - | head -1",
            "sh -c $ACCEPTOR predict {run} x.tsv -o - | head -1 >/dev/null; echo ended",
            shows("ended"),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "evaluate > /dev/full",
            "sh -c $ACCEPTOR evaluate {run} x.tsv >/dev/full; echo ended with $?",
            all_of(shows("ended with 1")),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "an error, stderr is ASCII",
            "acceptor audit y.tsv",
            refused(),
            {"y.tsv": tsv(HEAD, [("déjà — vu", "1"), ("", "0")])},
            encoding="ascii",
        ),
    ]


def _plant(env: str, places: str, more: str = "", words: str = "") -> str:
    return with_words(PLANTED, ENV=env, PLACES=places, MORE=more, SAID=words)


def _caches() -> list[Case]:
    """Empty variables, planted kernels, no HOME, a user without a name."""
    here = "['acceptor', '.', 'native', '.cache/acceptor']"
    return [
        Case(
            7,
            "XDG_CACHE_HOME= is not set",
            _plant("XDG_CACHE_HOME='', ACCEPTOR_CACHE=None, HOME=os.path.abspath('own')", here),
            asserts,
            process=True,
        ),
        Case(
            7,
            "ACCEPTOR_CACHE= is not set",
            _plant("ACCEPTOR_CACHE='', HOME=os.path.abspath('own')", here),
            asserts,
            process=True,
        ),
        Case(
            7,
            "both empty",
            _plant("ACCEPTOR_CACHE='', XDG_CACHE_HOME='', HOME=os.path.abspath('own')", here),
            asserts,
            process=True,
        ),
        Case(
            7,
            "HOME=, both empty: not the working folder",
            _plant("ACCEPTOR_CACHE='', XDG_CACHE_HOME='', HOME=''", here),
            asserts,
            process=True,
        ),
        Case(
            7,
            "a relative XDG_CACHE_HOME is not set (as its standard says)",
            _plant("ACCEPTOR_CACHE=None, XDG_CACHE_HOME='.', HOME=os.path.abspath('own')", here),
            asserts,
            process=True,
        ),
        Case(
            7,
            "a cache that others can write: planted kernels are not loaded",
            _plant(
                "ACCEPTOR_CACHE=os.path.abspath('shared')",
                "['shared']",
                "for path in planted:\n    path.chmod(0o777)",
            ),
            asserts,
            process=True,
        ),
        Case(
            7,
            "a cache of another user: planted kernels are not loaded",
            _plant(
                "ACCEPTOR_CACHE=os.path.abspath('shared')",
                "['shared']",
                "for path in planted if os.getuid() == 0 else ():\n    os.chown(path, 54321, 54321)",
            ),
            asserts,
            process=True,
        ),
        Case(
            7,
            "a changed kernel in one's own cache is not loaded",
            _plant(
                "ACCEPTOR_CACHE=os.path.abspath('shared')",
                "['shared']",
                "for path in planted:\n    path.chmod(0o700)",
            ),
            asserts,
            process=True,
        ),
        Case(
            7,
            "no HOME: a temporary cache or the passwd entry's",
            with_words(NO_HOME),
            asserts,
            process=True,
        ),
        Case(
            7,
            "HOME that cannot be written",
            "acceptor judge {run} 'the cats sleep.'",
            shows("acceptable"),
            env={"HOME": "/proc/none", "ACCEPTOR_CACHE": "(unset)", "XDG_CACHE_HOME": "(unset)"},
        ),
        Case(
            7,
            "a uid without a passwd entry, no HOME: a temporary cache, reported",
            with_words(NOBODY),
            all_of(asserts, shows("cache")),
            process=True,
        ),
        Case(
            7,
            "ACCEPTOR_CACHE that is a file",
            "acceptor judge {run} 'the cats sleep.'",
            any_of(shows("acceptable"), refused("cache", error=".*")),
            {"cache": ""},
            env={"ACCEPTOR_CACHE": "cache"},
        ),
    ]


def _schedulers() -> list[Case]:
    """Variables that torchrun, Slurm and others leave in the environment."""

    def typed(*words: str) -> Check:
        def check(result: Result) -> str:
            if result.seconds > 40:
                return f"{result.seconds:.0f} s: {_last_line(result)}"
            return refused(*words, error=".*")(result)

        return check

    def _last_line(result: Result) -> str:
        return (result.err.strip().splitlines() or ["no output"])[-1][:120]

    train = f"acceptor train x.tsv {TRAIN} --out out"
    works = shows("acceptable")
    left = {"RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29513"}
    found = []
    for what, env, check in (
        ("RANK=", {"RANK": "", "WORLD_SIZE": "1"}, any_of(works, typed("RANK"))),
        ("RANK= and WORLD_SIZE=", {"RANK": "", "WORLD_SIZE": ""}, any_of(works, typed("RANK|WORLD_SIZE"))),
        ("WORLD_SIZE=8 alone", {"WORLD_SIZE": "8"}, any_of(works, typed("WORLD_SIZE"))),
        ("WORLD_SIZE=8, RANK=3, no address", {"WORLD_SIZE": "8", "RANK": "3"}, typed("WORLD_SIZE|RANK|MASTER_ADDR")),
        ("RANK=x", {"RANK": "x", "WORLD_SIZE": "2"}, typed("RANK")),
        ("WORLD_SIZE=two", {"RANK": "0", "WORLD_SIZE": "two"}, typed("WORLD_SIZE")),
        ("RANK=9 of WORLD_SIZE=8", {**left, "RANK": "9"}, typed("RANK")),
        ("LOCAL_RANK=", {"LOCAL_RANK": "", "RANK": "0", "WORLD_SIZE": "1"}, any_of(works, typed("LOCAL_RANK"))),
        ("all of it left over, no other process starts", left, typed("WORLD_SIZE|RANK")),
        ("MASTER_PORT=x", {**left, "MASTER_PORT": "x"}, typed("MASTER_PORT")),
        ("SLURM_NTASKS=8", {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}, works),
    ):
        found.append(Case(7, f"train with {what}", train, check, CORPUS, env=env))
    judge = "acceptor evaluate {run} x.tsv"
    return [
        *found,
        Case(7, "evaluate with RANK=", judge, any_of(shows("acceptable"), typed("RANK")), SMALL, env={"RANK": ""}),
        Case(
            7,
            "evaluate with WORLD_SIZE=8 left over",
            judge,
            any_of(shows("acceptable"), typed("WORLD_SIZE")),
            SMALL,
            env={"WORLD_SIZE": "8"},
        ),
        Case(7, "OMP_NUM_THREADS= is not set", judge, shows("acceptable"), SMALL, env={"OMP_NUM_THREADS": ""}),
        Case(
            7,
            "OMP_NUM_THREADS=many: typed or ignored",
            judge,
            any_of(shows("acceptable"), typed("OMP_NUM_THREADS")),
            SMALL,
            env={"OMP_NUM_THREADS": "many"},
        ),
        Case(
            7,
            "doctor says what it found of load, spin and threads",
            "acceptor doctor",
            shows("threads", "spin|OMP_WAIT|GOMP_SPINCOUNT|KMP_BLOCKTIME|load|beside"),
            env={"OMP_NUM_THREADS": "(unset)"},
        ),
    ]


def _files() -> list[Case]:
    """File systems without locks, and ten minutes that print nothing."""
    both = "fcntl.flock, os.fsync = no_locks, no_folders"

    def logs_its_progress(result: Result) -> str:
        if result.code:
            return f"exit code {result.code}: {result.err.strip()[-160:]}"
        found = [line for line in result.err.splitlines() if "left" in line.lower() or "/s" in line]
        wanted = int(result.seconds // 45)
        return (
            ""
            if len(found) >= max(1, wanted) or result.seconds < 40
            else f"{len(found)} lines in {result.seconds:.0f} s"
        )

    return [
        Case(
            7,
            "no flock: ENOLCK",
            with_words(NO_LOCKS, CODE="ENOLCK", WHAT="fcntl.flock = no_locks"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(
            7,
            "no flock: ENOSYS",
            with_words(NO_LOCKS, CODE="ENOSYS", WHAT="fcntl.flock = no_locks"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(
            7,
            "no flock: EOPNOTSUPP",
            with_words(NO_LOCKS, CODE="EOPNOTSUPP", WHAT="fcntl.flock = no_locks"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(
            7,
            "fsync of a folder gives EINVAL",
            with_words(NO_LOCKS, CODE="ENOLCK", WHAT="os.fsync = no_folders"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(7, "neither", with_words(NO_LOCKS, CODE="ENOLCK", WHAT=both), asserts, CORPUS, slow=True),
        Case(7, "predict into a log: a line every half minute", BIG_FILE, logs_its_progress, process=True),
    ]


def _few() -> list[Case]:
    """Twelve sentences; scripts without spaces."""
    twelve = {"x.tsv": tsv(HEAD, simple(n=12))}
    chinese = [
        ("这本书是约翰写的，我很喜欢它。", 1),
        ("猫在垫子上睡觉，狗在花园里跑。", 1),
        ("书本写约翰是这。", 0),
        ("睡猫垫子在上了。", 0),
    ]
    rows = {"x.tsv": tsv(HEAD, [(f"{t[:-1]}{'很' * (n % 5)}。", y) for n, (t, y) in enumerate(chinese * 12)])}
    japanese = {
        "x.jsonl": jsonl([{"sentence": f"太郎が本を読んだ{'よ' * (n % 7)}。", "label": n % 2} for n in range(40)])
    }
    thai = {"x.jsonl": jsonl([{"sentence": f"แมวนอนบนเสื่อ{'นะ' * (n % 7)}", "label": n % 2} for n in range(40)])}

    def several(result: Result) -> str:
        if fault := ends_cleanly(result):
            return fault
        words = result.json.get("train", {}).get("words", {})
        return "" if words.get("mean", 0) >= 3 else f"words {words}"

    slices = "acceptor evaluate {run} x.tsv --by length --json"

    def bins(result: Result) -> str:
        found = result.json.get("slices", {}).get("length", [])
        return (
            ""
            if len(found) >= 2
            else f"exit code {result.code}, {len(found)} bins of length: {result.err.strip()[:100]}"
        )

    english = {"x.tsv": tsv(HEAD, [("the cats don't see 3.5 books.", 1), ("them cat.", 0)] * 4)}
    train = f"acceptor train x.tsv {TRAIN} --out out"
    return [
        Case(7, "12 sentences train, the batch is lowered and said", train, shows("batch"), twelve, slow=True),
        Case(
            7,
            "6 sentences: train, or what is wanting",
            train,
            any_of(shows("batch"), refused("few|at least", error="DataError|UsageError|TrainingError")),
            {"x.tsv": tsv(HEAD, simple(n=6))},
            slow=True,
        ),
        Case(
            7,
            "2 sentences: what is wanting",
            train,
            refused("few|at least|examples", error="DataError|UsageError|TrainingError"),
            {"x.tsv": tsv(HEAD, simple(n=2))},
        ),
        Case(7, "words of Chinese are counted", "acceptor audit x.tsv --json", several, rows),
        Case(7, "words of Japanese are counted", "acceptor audit x.jsonl --json", several, japanese),
        Case(7, "words of Thai are counted", "acceptor audit x.jsonl --json", any_of(several, lambda result: ""), thai),
        Case(7, "Chinese by length has bins", slices, any_of(bins, refused("unknown|vocabulary")), rows),
        Case(
            7,
            "words of English stay as they are",
            "acceptor audit x.tsv --json",
            lambda result: (
                ""
                if result.json.get("train", {}).get("words", {}).get("max") == 6
                else f"words {result.json.get('train', {}).get('words')}"
            ),
            english,
        ),
    ]
