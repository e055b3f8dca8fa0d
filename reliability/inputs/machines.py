"""Root 7: machines as they are: streams, caches, schedulers' leftovers, file systems, hub folders, few rows, scripts."""

from __future__ import annotations

import json
import shutil

from reliability.inputs.case import Case, See, Seen, also, asserts, either, plain, refused, said
from reliability.inputs.layouts import jsonl, simple, tsv

HEAD = ("sentence", "label")
CORPUS = {"x.tsv": tsv(HEAD, simple(n=120, seed=4))}
SMALL = {"x.tsv": tsv(HEAD, simple())}
TRAIN = "--encoder {encoder} --epochs 1 --device cpu --max-length 32 --on-collapse go-on"
ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
POSIX = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "(unset)"}
LATIN = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}


def cases() -> list[Case]:
    """All of them."""
    return [*_streams(), *_caches(), *_schedulers(), *_files(), *_hub(), *_few()]


def _streams() -> list[Case]:
    """Stdout that is ASCII, Latin-1, closed, full, or closed by who reads it."""
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
                said(),
                files,
                encoding="ascii",
                slow=name in ("train", "seeds", "report", "compare", "doctor"),
            )
        )
        if name in ("train", "evaluate", "doctor", "predict", "judge"):
            found.append(Case(7, f"{name}, LC_ALL=C", run, said(), files, env=POSIX))
            found.append(
                Case(
                    7,
                    f"{name}, stdout is Latin-1",
                    run,
                    said(),
                    files,
                    encoding="latin-1",
                    slow=name in ("train", "doctor"),
                )
            )
            found.append(
                Case(7, f"{name}, stdout is closed", f"sh -c $ACCEPTOR {command} >&-", said(), files, process=True)
            )
        if name in ("train", "evaluate"):
            found.append(
                Case(7, f"{name}, stderr is closed", f"sh -c $ACCEPTOR {command} 2>&-", said(), files, process=True)
            )
            found.append(
                Case(
                    7,
                    f"{name}, all streams are closed",
                    f"sh -c $ACCEPTOR {command} <&- >&- 2>&-; echo ended with $?",
                    said("ended with 0"),
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
            lambda seen: "" if seen.json.get("n") == 120 else f"no JSON: {seen.text[:120]}",
            CORPUS,
            encoding="ascii",
        ),
        Case(
            7,
            "evaluate --json, PYTHONIOENCODING=ascii",
            "acceptor evaluate {run} x.tsv --json",
            lambda seen: "" if seen.json.get("n") == 120 else f"no JSON: {seen.text[:120]}",
            CORPUS,
            env=ASCII,
        ),
        Case(7, "evaluate, PYTHONIOENCODING=latin-1", "acceptor evaluate {run} x.tsv", said(), CORPUS, env=LATIN),
        Case(
            7,
            "evaluate | head -1",
            "sh -c $ACCEPTOR evaluate {run} x.tsv | head -1 >/dev/null; echo ended",
            said("ended"),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "predict -o - | head -1",
            "sh -c $ACCEPTOR predict {run} x.tsv -o - | head -1 >/dev/null; echo ended",
            said("ended"),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "evaluate > /dev/full",
            "sh -c $ACCEPTOR evaluate {run} x.tsv >/dev/full; echo ended with $?",
            also(said("ended with 1")),
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


PLANT = """
import os, pathlib, subprocess, sys
env = dict(os.environ, ACCEPTOR_CACHE=os.path.abspath('own'), OMP_NUM_THREADS='1')
first = subprocess.run([sys.executable, '-m', 'acceptor', 'judge', '{run}', 'the cats sleep.'], env=env, capture_output=True, text=True)
assert first.returncode == 0, first.stderr
names = [p.relative_to('own') for p in pathlib.Path('own').rglob('*.so')]
pathlib.Path('evil.c').write_text('#include <stdio.h>\\n__attribute__((constructor)) void run(void) { fclose(fopen("CANARY", "w")); }\\n')
subprocess.run(['cc', '-shared', '-fPIC', '-o', 'evil.so', 'evil.c'], check=True)
for place in PLACES:
    for name in names:
        target = pathlib.Path(place) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pathlib.Path('evil.so').read_bytes())
MORE
before = {p.name for p in pathlib.Path('.').iterdir()}
done = subprocess.run([sys.executable, '-m', 'acceptor', 'judge', '{run}', 'the cats sleep.'], env={k: v for k, v in dict(os.environ, OMP_NUM_THREADS='1', ENV).items() if v is not None}, capture_output=True, text=True)
assert done.returncode == 0, done.stderr
assert not os.path.exists('CANARY'), 'the planted library was loaded and run'
new = {p.name for p in pathlib.Path('.').iterdir()} - before - {'CANARY'}
assert not new, f'written into the working folder: {new}'
SAID
"""


def _plant(env: str, places: str, more: str = "", words: str = "") -> str:
    return PLANT.replace("ENV", env).replace("PLACES", places).replace("MORE", more).replace("SAID", words)


def _caches() -> list[Case]:
    """Empty variables, planted kernels, no HOME, a user without a name."""
    here = "['acceptor', '.', 'native', '.cache/acceptor']"
    none = "HOME=None, XDG_CACHE_HOME=None, ACCEPTOR_CACHE=None"
    nobody = (
        "import os, pathlib, shutil, subprocess, sys, tempfile\nfolder = pathlib.Path(tempfile.mkdtemp(dir='/var/tmp'))\n"
        "shutil.copytree('{run}', folder / 'run')\nsubprocess.run(['chmod', '-R', '777', str(folder)], check=True)\n"
        "env = {k: v for k, v in os.environ.items() if k not in ('HOME', 'USER', 'LOGNAME', 'ACCEPTOR_CACHE', 'XDG_CACHE_HOME')}\n"
        "done = subprocess.run([sys.executable, '-m', 'acceptor', 'judge', str(folder / 'run'), 'the cats sleep.'], user=54321, group=54321, extra_groups=[], cwd=folder, env=env, capture_output=True, text=True)\n"
        "shutil.rmtree(folder)\nassert done.returncode == 0 and 'Traceback' not in done.stderr, done.stderr\n"
        "assert 'cache' in done.stderr.lower(), 'not said where the cache is: ' + done.stderr\n"
    )
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
            "HOME=, both empty: a temporary cache, said",
            _plant(
                "ACCEPTOR_CACHE='', XDG_CACHE_HOME='', HOME=''",
                here,
                words="assert 'cache' in done.stderr.lower(), 'not said: ' + done.stderr",
            ),
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
                "import stat\nfor p in [pathlib.Path('shared'), *pathlib.Path('shared').rglob('*')]:\n    p.chmod(0o777)",
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
                "if os.getuid() == 0:\n    for p in [pathlib.Path('shared'), *pathlib.Path('shared').rglob('*')]:\n        os.chown(p, 54321, 54321)",
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
                "for p in [pathlib.Path('shared'), *pathlib.Path('shared').rglob('*')]:\n    p.chmod(0o700)",
            ),
            asserts,
            process=True,
        ),
        Case(
            7,
            "no HOME: a temporary cache or the passwd entry's",
            "import os, subprocess, sys\n"
            + f"done = subprocess.run([sys.executable, '-m', 'acceptor', 'judge', '{{run}}', 'the cats sleep.'], env={{k: v for k, v in dict(os.environ, {none}).items() if v is not None}}, capture_output=True, text=True)\nassert done.returncode == 0, done.stderr",
            asserts,
            process=True,
        ),
        Case(
            7,
            "HOME that cannot be written",
            "acceptor judge {run} 'the cats sleep.'",
            said("acceptable"),
            env={"HOME": "/proc/none", "ACCEPTOR_CACHE": "(unset)", "XDG_CACHE_HOME": "(unset)"},
        ),
        Case(7, "a uid without a passwd entry, no HOME: a temporary cache, said", nobody, asserts, process=True),
        Case(
            7,
            "ACCEPTOR_CACHE that is a file",
            "acceptor judge {run} 'the cats sleep.'",
            either(said("acceptable"), refused("cache", error=".*")),
            {"cache": ""},
            env={"ACCEPTOR_CACHE": "cache"},
        ),
    ]


def _schedulers() -> list[Case]:
    """What torchrun, Slurm and others leave in the environment."""

    def typed(*words: str) -> See:
        def see(seen: Seen) -> str:
            if seen.seconds > 40:
                return f"{seen.seconds:.0f} s: {_last_line(seen)}"
            return refused(*words, error=".*")(seen)

        return see

    def _last_line(seen: Seen) -> str:
        return (seen.err.strip().splitlines() or ["nothing said"])[-1][:120]

    train = f"acceptor train x.tsv {TRAIN} --out out"
    works = said("acceptable")
    left = {"RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29513"}
    found = []
    for what, env, see in (
        ("RANK=", {"RANK": "", "WORLD_SIZE": "1"}, either(works, typed("RANK"))),
        ("RANK= and WORLD_SIZE=", {"RANK": "", "WORLD_SIZE": ""}, either(works, typed("RANK|WORLD_SIZE"))),
        ("WORLD_SIZE=8 alone", {"WORLD_SIZE": "8"}, either(works, typed("WORLD_SIZE"))),
        ("WORLD_SIZE=8, RANK=3, no address", {"WORLD_SIZE": "8", "RANK": "3"}, typed("WORLD_SIZE|RANK|MASTER_ADDR")),
        ("RANK=x", {"RANK": "x", "WORLD_SIZE": "2"}, typed("RANK")),
        ("WORLD_SIZE=two", {"RANK": "0", "WORLD_SIZE": "two"}, typed("WORLD_SIZE")),
        ("RANK=9 of WORLD_SIZE=8", {**left, "RANK": "9"}, typed("RANK")),
        ("LOCAL_RANK=", {"LOCAL_RANK": "", "RANK": "0", "WORLD_SIZE": "1"}, either(works, typed("LOCAL_RANK"))),
        ("all of it left over, nobody else comes", left, typed("WORLD_SIZE|RANK")),
        ("MASTER_PORT=x", {**left, "MASTER_PORT": "x"}, typed("MASTER_PORT")),
        ("SLURM_NTASKS=8", {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}, works),
    ):
        found.append(Case(7, f"train with {what}", train, see, CORPUS, env=env))
    judge = "acceptor evaluate {run} x.tsv"
    return [
        *found,
        Case(7, "evaluate with RANK=", judge, either(said("acceptable"), typed("RANK")), SMALL, env={"RANK": ""}),
        Case(
            7,
            "evaluate with WORLD_SIZE=8 left over",
            judge,
            either(said("acceptable"), typed("WORLD_SIZE")),
            SMALL,
            env={"WORLD_SIZE": "8"},
        ),
        Case(7, "OMP_NUM_THREADS= is not set", judge, said("acceptable"), SMALL, env={"OMP_NUM_THREADS": ""}),
        Case(
            7,
            "OMP_NUM_THREADS=many: typed or ignored",
            judge,
            either(said("acceptable"), typed("OMP_NUM_THREADS")),
            SMALL,
            env={"OMP_NUM_THREADS": "many"},
        ),
        Case(
            7,
            "doctor says what it found of load, spin and threads",
            "acceptor doctor",
            said("threads", "spin|OMP_WAIT|GOMP_SPINCOUNT|KMP_BLOCKTIME|load|beside"),
            env={"OMP_NUM_THREADS": "(unset)"},
        ),
    ]


NO_LOCKS = """
import errno, fcntl, os, stat
import acceptor
flock, fsync = fcntl.flock, os.fsync
def no_locks(*_):
    raise OSError(errno.CODE, os.strerror(errno.CODE))
def no_folders(descriptor):
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, 'Invalid argument')
    fsync(descriptor)
WHAT
try:
    config = acceptor.TrainConfig(encoder='{encoder}', epochs=1, device='cpu', precision='fp32', on_collapse='go-on', max_length=32)
    run = acceptor.train('x.tsv', out='out', config=config)
    from acceptor import corpus
    assert acceptor.load('out', device='cpu')(['the cats sleep.'])
finally:
    fcntl.flock, os.fsync = flock, fsync
"""


def _files() -> list[Case]:
    """File systems without locks, and ten minutes that print nothing."""
    both = "fcntl.flock, os.fsync = no_locks, no_folders"
    lines = "sh -c $PYTHON - <<'END'\nfor n in range(1200000): print('the cats see the girl and the boy in the garden', n)\nEND"
    del lines

    def told(seen: Seen) -> str:
        if seen.code:
            return f"exit code {seen.code}: {seen.err.strip()[-160:]}"
        found = [line for line in seen.err.splitlines() if "left" in line.lower() or "/s" in line]
        wanted = int(seen.seconds // 45)
        return (
            "" if len(found) >= max(1, wanted) or seen.seconds < 40 else f"{len(found)} lines in {seen.seconds:.0f} s"
        )

    write = "import random\nr = random.Random(0)\nwords = 'the cats see sleep girl boy garden book mat John'.split()\nopen('big.txt', 'w').writelines(' '.join(r.choices(words, k=24)) + '.\\\\n' for _ in range(ROWS))"
    run = 'sh -c {python} -c "' + write + '"; $ACCEPTOR predict {run} big.txt -o out.jsonl'
    return [
        Case(
            7,
            "no flock: ENOLCK",
            NO_LOCKS.replace("CODE", "ENOLCK").replace("WHAT", "fcntl.flock = no_locks"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(
            7,
            "no flock: ENOSYS",
            NO_LOCKS.replace("CODE", "ENOSYS").replace("WHAT", "fcntl.flock = no_locks"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(
            7,
            "no flock: EOPNOTSUPP",
            NO_LOCKS.replace("CODE", "EOPNOTSUPP").replace("WHAT", "fcntl.flock = no_locks"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(
            7,
            "fsync of a folder gives EINVAL",
            NO_LOCKS.replace("CODE", "ENOLCK").replace("WHAT", "os.fsync = no_folders"),
            asserts,
            CORPUS,
            slow=True,
        ),
        Case(7, "neither", NO_LOCKS.replace("CODE", "ENOLCK").replace("WHAT", both), asserts, CORPUS, slow=True),
        Case(7, "predict into a log: a line every half minute", run.replace("ROWS", "700000"), told, process=True),
    ]


def _hub() -> list[Case]:
    """Folders from the hub and from other libraries."""
    judge = "$ACCEPTOR judge {target} 'the cats sleep.' --json"
    snapshot = "sh -c mkdir -p hub/models--me--judge/blobs hub/models--me--judge/snapshots/abc hub/models--me--judge/refs; echo abc > hub/models--me--judge/refs/main; for f in $(cd {run} && find . -type f); do mkdir -p hub/models--me--judge/snapshots/abc/$(dirname $f); h=$(sha256sum {run}/$f | cut -c1-64); cp {run}/$f hub/models--me--judge/blobs/$h; ln -s $(realpath --relative-to=hub/models--me--judge/snapshots/abc/$(dirname $f) hub/models--me--judge/blobs/$h) hub/models--me--judge/snapshots/abc/$f; done; "
    loads = said("acceptable", '"label"')
    named = ".*"
    part = (
        snapshot.replace("{run}", "{encoder}").partition("for f")[0]
        + "cp {encoder}/config.json hub/models--me--judge/snapshots/abc/; HF_HUB_CACHE=hub HF_HUB_OFFLINE=1 $ACCEPTOR train x.tsv --encoder me/judge --epochs 1 --json --out out"
    )
    module = "from safetensors.torch import load_file, save_file\nimport shutil, acceptor\nshutil.copytree('{encoder}', 'enc')\nw = load_file('enc/model.safetensors')\nsave_file({'module.' + k: v for k, v in w.items()}, 'enc/model.safetensors', {'format': 'pt'})\n"
    module += "from acceptor.model.pretrained import find_encoder\nfrom acceptor.model.classifier import new_classifier\nimport torch\na = new_classifier(find_encoder('enc'), ('a', 'b'), seed=0)\nb = new_classifier(find_encoder('{encoder}'), ('a', 'b'), seed=0)\nassert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values())), 'other weights'"
    plain_hf = "from transformers import AutoModelForSequenceClassification as A, AutoTokenizer as T\nimport acceptor\nm = A.from_pretrained('{encoder}', num_labels=2, id2label={0: 'ham', 1: 'spam'}, label2id={'ham': 0, 'spam': 1})\nm.save_pretrained('hf'); T.from_pretrained('{encoder}').save_pretrained('hf')\njudge = acceptor.load('hf', device='cpu')\nassert set(judge.labels) == {'ham', 'spam'}, judge.labels\nassert judge(['the cats sleep.'])\n"
    unnamed = (
        plain_hf.replace(", id2label={0: 'ham', 1: 'spam'}, label2id={'ham': 0, 'spam': 1}", "").partition("judge =")[0]
        + "try:\n    judge = acceptor.load('hf', device='cpu')\nexcept acceptor.AcceptorError as e:\n    assert 'label' in str(e).lower(), e\nelse:\n    assert judge(['the cats sleep.'])\n"
    )
    lora = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased", "task_type": "SEQ_CLS"})
    old = 'sh -c mkdir -p st/0_Transformer st/1_Pooling; cp {encoder}/* st/0_Transformer/; echo \'[{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]\' > st/modules.json; '
    anything = refused("LoRA|adapter", error=named)
    return [
        Case(
            7,
            "a run folder as a hub snapshot (links to blobs) loads",
            snapshot + judge.replace("{target}", "hub/models--me--judge/snapshots/abc"),
            loads,
            process=True,
        ),
        Case(
            7,
            "a hub cache with part of a snapshot, offline: said what is missing",
            part,
            refused("offline|HF_HUB_OFFLINE|missing|incomplete|part|download", error=named),
            CORPUS,
            process=True,
        ),
        Case(7, "`module.` prefixes (DataParallel) are understood", module, asserts, slow=True),
        Case(
            7,
            "a LoRA adapter as RUN is named",
            "acceptor judge lora 'the cats sleep.' --json",
            anything,
            {"lora/adapter_config.json": lora, "lora/adapter_model.safetensors": b"\0" * 16},
        ),
        Case(
            7,
            "a LoRA adapter as encoder is named",
            f"acceptor train x.tsv {TRAIN.replace('{encoder}', 'lora')} --json",
            anything,
            {**CORPUS, "lora/adapter_config.json": lora, "lora/adapter_model.safetensors": b"\0" * 16},
        ),
        Case(
            7,
            "sentence-transformers' old layout as encoder: read or named",
            old + f"$ACCEPTOR train x.tsv {TRAIN.replace('{encoder}', 'st')} --json --out out",
            either(said("acceptable"), refused("0_Transformer", error=named)),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "sentence-transformers' folder as RUN is named",
            old + judge.replace("{target}", "st"),
            refused("sentence-transformers|0_Transformer|encoder", error=named),
            process=True,
        ),
        Case(7, "a plain Hugging Face classifier as RUN judges", plain_hf, asserts, slow=True),
        Case(7, "the same with LABEL_0, LABEL_1: judged or asked", unnamed, asserts, slow=True),
        Case(
            7,
            "an encoder as RUN is named",
            "acceptor judge {encoder} 'the cats sleep.' --json",
            refused("encoder|not a run|train", error=named),
        ),
        Case(
            7,
            "pickled weights alone as RUN are named",
            "acceptor judge bin 'the cats sleep.' --json",
            refused("pickle|pytorch_model.bin|safetensors", error=named),
            {
                "bin/config.json": '{"model_type": "bert", "architectures": ["BertForSequenceClassification"]}',
                "bin/pytorch_model.bin": b"PK\x03\x04",
            },
        ),
        Case(
            7,
            "an empty folder that shadows a hub name is said",
            "sh -c mkdir -p bert-base-uncased; $ACCEPTOR train x.tsv "
            + TRAIN.replace("{encoder}", "bert-base-uncased")
            + " --json",
            refused("folder", "empty", error=named),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "./starter beside the corpus starter is said",
            "acceptor audit starter --json",
            said("starter", "corpus", "\\./starter|folder|file"),
            {"starter/train.tsv": tsv(HEAD, simple())},
        ),
        Case(
            7,
            "./cola beside the corpus cola is said",
            "acceptor audit cola --json",
            either(refused("\\./cola"), said("\\./cola|folder")),
            {"cola/train.tsv": tsv(HEAD, simple())},
        ),
        Case(
            7,
            "./starter by its path is the folder",
            "acceptor audit ./starter --json",
            lambda seen: "" if seen.json.get("train", {}).get("rows") == 48 else seen.text[:160],
            {"starter/train.tsv": tsv(HEAD, simple())},
        ),
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

    def several(seen: Seen) -> str:
        if fault := plain(seen):
            return fault
        words = seen.json.get("train", {}).get("words", {})
        return "" if words.get("mean", 0) >= 3 else f"words {words}"

    slices = "acceptor evaluate {run} x.tsv --by length --json"

    def bins(seen: Seen) -> str:
        found = seen.json.get("slices", {}).get("length", [])
        return (
            "" if len(found) >= 2 else f"exit code {seen.code}, {len(found)} bins of length: {seen.err.strip()[:100]}"
        )

    english = {"x.tsv": tsv(HEAD, [("the cats don't see 3.5 books.", 1), ("them cat.", 0)] * 4)}
    train = f"acceptor train x.tsv {TRAIN} --out out"
    return [
        Case(7, "12 sentences train, the batch is lowered and said", train, said("batch"), twelve, slow=True),
        Case(
            7,
            "6 sentences: train, or what is wanting",
            train,
            either(said("batch"), refused("few|at least", error="DataError|UsageError|TrainingError")),
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
        Case(7, "words of Thai are counted", "acceptor audit x.jsonl --json", either(several, lambda seen: ""), thai),
        Case(7, "Chinese by length has bins", slices, either(bins, refused("unknown")), rows),
        Case(
            7,
            "words of English stay as they are",
            "acceptor audit x.tsv --json",
            lambda seen: (
                ""
                if seen.json.get("train", {}).get("words", {}).get("max") == 6
                else f"words {seen.json.get('train', {}).get('words')}"
            ),
            english,
        ),
    ]


HAS_SCRIPT = shutil.which("script") is not None
"""Whether util-linux' `script` is there, which gives a terminal to commands."""
