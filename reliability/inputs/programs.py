"""The longer programs of cases: Python and shell, with names in braces that the kit fills in and words in capitals.

A word in capitals is replaced by the case: `KIND` of judge, `WAY`, `OUT` and the like.
"""

from __future__ import annotations


def with_words(text: str, **words: str) -> str:
    """The program with its words in capitals replaced."""
    for word, value in words.items():
        text = text.replace(word, value)
    return text.lstrip("\n")


# ── judges and objects ───────────────────────────────────────────────────────────────────────────────────

RAISES = """
import acceptor, re
IMPORTS
try:
CODE
except (ERRORS) as error:
    message = str(error)
    for word in WORDS:
        assert re.search(word, message, re.I), message
else:
    raise SystemExit('taken without an error')
"""

PAPERS = """
import json
a = json.load(open('{run}/judge.json'))
b = json.load(open('{pairs}/judge.json'))
own = ('labels', 'selected_on', 'temperature', 'threshold', 'encoder')
a, b = ({name: value for name, value in papers.items() if name not in own} for papers in (a, b))
assert a != b, 'the papers of a judge of pairs and of one of sentences are alike'
"""

HEADS = """
import acceptor, json
rows = ROWS
for seed in (1, 2):  # at such a learning rate, what differs afterwards is the head that it began with
    config = acceptor.TrainConfig(
        encoder='{run}', epochs=1, learning_rate=1e-9, weight_decay=0, seed=seed, device='cpu', precision='fp32',
        on_collapse='go-on',
    )
    acceptor.train(acceptor.load_data(rows), out=f'out{seed}', config=config)
a, b = (acceptor.load(f'out{n}', device='cpu', precision='fp32').logits(['the cats sleep.']).tolist() for n in (1, 2))
assert a != b, 'two seeds have the same head'
"""

ALL_UNKNOWN = """
import acceptor
judge = acceptor.load('{run}', device='cpu', precision='fp32')
try:
    verdicts = judge(TEXTS)
except acceptor.DataError as error:
    assert 'unknown' in str(error).lower() or 'vocabulary' in str(error).lower(), error
else:
    for one in verdicts:
        assert one.to_dict().get('unknown') or 'reject' in str(one.label), one.to_dict()
"""

COPIES = """
import acceptor, copy, pickle
judge = acceptor.load('{KIND}', device='cpu')
given = (['the cats sleep.', 'the cat them.'] SECONDS)
a = judge(*given)
other = WAY
b = other(*given)
assert [one.label for one in a] == [one.label for one in b]
for one, two in zip(a, b):
    assert all(abs(x - y) < 1e-5 for x, y in zip(one.logits, two.logits)), (one, two)
"""

POOL = """
import acceptor, multiprocessing
from concurrent.futures import ProcessPoolExecutor

def ask(judge):
    return [one.label for one in judge(['the cats sleep.', 'the cat them.'])]

if __name__ == '__main__':
    judge = acceptor.load('{KIND}', device='cpu')
    expected = ask(judge)
    context = multiprocessing.get_context('WAY')
    with POOL as pool:
        assert list(pool.map(ask, [judge] * 3)) == [expected] * 3
"""

JOBLIB = """
import acceptor, joblib
judge = acceptor.load('{run}', device='cpu', precision='fp32')
a = [one.label for one in judge(['the cats sleep.', 'the cat them.'])]
joblib.dump(judge, 'judge.joblib')
assert a == [one.label for one in joblib.load('judge.joblib')(['the cats sleep.', 'the cat them.'])]
"""

PARALLEL = """
import acceptor
from joblib import Parallel, delayed
judge = acceptor.load('{run}', device='cpu', precision='fp32')
texts = ['the cats sleep.', 'the cat them.']
a = [one.label for one in judge(texts)]
for found in Parallel(n_jobs=2)(delayed(judge)(texts) for _ in range(3)):
    assert a == [one.label for one in found]
"""

EIGHT_THREADS = """
import acceptor
from concurrent.futures import ThreadPoolExecutor
judge = acceptor.load('{run}', device='cpu', precision='fp32')
texts = ['the cats sleep.'] * 20, ['the cats see John ' * 60] * 4
expected = [judge(some)[0].label for some in texts]
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(lambda n: judge(texts[n % 2])[0].label, range(200)))
assert found == [expected[n % 2] for n in range(200)]
"""

FROZEN = """
import acceptor, pickle
judge = acceptor.load('{run}', device='cpu', precision='fp32')
pickle.loads(pickle.dumps(judge))
verdicts = judge(['the cats sleep.'])
assert pickle.loads(pickle.dumps(verdicts)) == verdicts
"""

FRAME = """
import acceptor
import pandas as pd, polars as pl
judge = acceptor.load('{run}', device='cpu', precision='fp32')
texts = ['the cats sleep.', 'the cat them.']
frame = LIBRARY.DataFrame({'label': ['1', '0'], 'sentence': texts})
try:
    verdicts = judge(frame)
except acceptor.DataError as error:
    assert 'annotate' in str(error) or 'column' in str(error), error
else:
    assert [one.label for one in verdicts] == [one.label for one in judge(texts)]
"""

# ── labels and columns ───────────────────────────────────────────────────────────────────────────────────

FLOATS = """
import acceptor, numpy as np, pandas as pd, polars as pl
rows = ROWS
frame = pd.DataFrame(rows, columns=['sentence', 'label'])
data = acceptor.load_data(WAY).train
assert data.labels == ('unacceptable', 'acceptable'), data.labels
assert data.balance() == {'unacceptable': 16, 'acceptable': 32}, data.balance()
"""

FLOATS_SKLEARN = """
import numpy as np
from acceptor.integrations.sklearn import AcceptorClassifier
rows = ROWS
texts, labels = [text for text, _ in rows], np.array([float(label) for _, label in rows])
classifier = AcceptorClassifier(encoder='{encoder}', epochs=1, device='cpu', on_collapse='go-on').fit(texts, labels)
assert set(classifier.predict(texts[:5])) <= {0.0, 1.0}, classifier.predict(texts[:5])
"""

SECONDS_KEPT = """
import acceptor
data = acceptor.load_data('train.tsv').train
assert data.seconds is not None and len(data.seconds) == 48, data.table.schema
assert 'where is the book ?' in (data.sentences[0], data.seconds[0]), (data.sentences[0], data.seconds[0])
"""

DATASET_AND_FILE = """
import acceptor, datasets
file = acceptor.load_data('x.parquet').train
rows = acceptor.load_data(datasets.Dataset.from_parquet('x.parquet', cache_dir='cache')).train
assert file.labels == rows.labels, (file.labels, rows.labels)
assert list(file.gold) == list(rows.gold)
assert file.sentences == rows.sentences and file.seconds == rows.seconds
"""

NUMBERED_FRAME = """
import acceptor, pandas as pd
frame = pd.DataFrame(ROWS, columns=['2', '1'])
try:
    data = acceptor.load_data(frame, columns={'sentence': '1', 'label': '2'}).train
except acceptor.DataError as error:
    assert '1' in str(error) and ('number' in str(error) or 'name' in str(error)), error
else:  # either meaning, if the finding says which
    words = ('number', 'position', 'called', 'name')
    assert data.sentences[0] in ('0', '1') or any(word in data.table.schema for word in words), data.table.schema
"""

# ── outputs ──────────────────────────────────────────────────────────────────────────────────────────────

PREDICT = """
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
from acceptor.cli import app as cli
sys.argv = ['acceptor', 'predict', '{run}', 'INPUT', '-o', 'OUT']
try:
    cli.main()
except SystemExit as ended:
    assert not ended.code, ended.code
"""

SAME_TYPES = (
    PREDICT
    + """
before = pq.read_table('INPUT')
after = READ
def kind(table, name):
    words = str(table.schema.field(name).type).replace('large_', '').replace('_view', '')
    return words.replace('<element: ', '<item: ')  # what Parquet and Arrow call the values of a list
for name in before.column_names:
    assert name in after.column_names, f'{name} is now one of {after.column_names}'
    assert kind(before, name) == kind(after, name), f'{name}: {kind(before, name)} became {kind(after, name)}'
    assert before[name].to_pylist() == after[name].to_pylist(), name
"""
)

SAME_VALUES = (
    PREDICT
    + """
old = pq.read_table('INPUT').to_pylist()[0] if 'INPUT'.endswith('parquet') else json.loads(open('INPUT').readline())
new = json.loads(open('OUT', encoding='utf-8').readline())
for name, value in old.items():
    assert name in new, f'{name} is now one of {list(new)}'
    if isinstance(value, (int, float, bool, str, list, dict, type(None))):
        assert new[name] == value and type(new[name]) is type(value), f'{name}: {value!r} became {new[name]!r}'
"""
)

KILLED = """sh -c cp -r {run} R
sha256sum R/model.safetensors | cut -c1-64 > before
TRAIN --epochs 400 --encoder {encoder} --out R --overwrite >log 2>&1 & pid=$!
for n in $(seq 300); do
  sleep 0.2; ls R/checkpoints >/dev/null 2>&1 && break; kill -0 $pid 2>/dev/null || break
done
sleep 0.5; kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
find . -name model.safetensors | xargs sha256sum | cut -c1-64 > after
grep -qf before after && echo KEPT
"""

RESUMED = (
    KILLED
    + """TRAIN --epochs 400 --encoder {encoder} --out R --resume >resumed 2>&1 & pid=$!
sleep 6; kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
grep -il 'not an encoder\\|Traceback' resumed
echo done
"""
)

# ── machines ─────────────────────────────────────────────────────────────────────────────────────────────

PLANTED = """
import os, pathlib, subprocess, sys
def judge(**env):
    env = {name: value for name, value in {**os.environ, 'OMP_NUM_THREADS': '1', **env}.items() if value is not None}
    command = [sys.executable, '-m', 'acceptor', 'judge', '{run}', 'the cats sleep.']
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done
judge(ACCEPTOR_CACHE=os.path.abspath('own'))
names = [path.relative_to('own') for path in pathlib.Path('own').rglob('*.so')]
pathlib.Path('evil.c').write_text(
    '#include <stdio.h>\\n__attribute__((constructor)) void run(void) { fclose(fopen("CANARY", "w")); }\\n'
)
subprocess.run(['cc', '-shared', '-fPIC', '-o', 'evil.so', 'evil.c'], check=True)
places = PLACES
for place in places:
    for name in names:
        target = pathlib.Path(place) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pathlib.Path('evil.so').read_bytes())
planted = [path for place in places for path in [pathlib.Path(place), *pathlib.Path(place).rglob('*')]]
MORE
before = {path.name for path in pathlib.Path('.').iterdir()}
done = judge(ENV)
assert not os.path.exists('CANARY'), 'the planted library was loaded and run'
new = {path.name for path in pathlib.Path('.').iterdir()} - before
assert not new, f'written into the working folder: {new}'
SAID
"""

NOBODY = """
import os, pwd, sys
for name in ('HOME', 'USER', 'LOGNAME', 'ACCEPTOR_CACHE', 'XDG_CACHE_HOME'):
    os.environ.pop(name, None)
def unknown(number):  # as in a container that is started with a number for a user
    raise KeyError(f'getpwuid(): uid not found: {number}')
pwd.getpwuid = unknown
from acceptor.cli import app as cli
sys.argv = ['acceptor', 'judge', '{run}', 'the cats sleep.']
before = set(os.listdir('.'))
try:
    cli.main()
except SystemExit as ended:
    assert not ended.code, ended.code
assert set(os.listdir('.')) == before, f'written into the working folder: {set(os.listdir(".")) - before}'
"""

NO_HOME = """
import os, subprocess, sys
away = ('HOME', 'ACCEPTOR_CACHE', 'XDG_CACHE_HOME')
env = {name: value for name, value in os.environ.items() if name not in away}
command = [sys.executable, '-m', 'acceptor', 'judge', '{run}', 'the cats sleep.']
done = subprocess.run(command, env=env, capture_output=True, text=True)
assert done.returncode == 0, done.stderr
"""

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
    config = acceptor.TrainConfig(
        encoder='{encoder}', epochs=1, device='cpu', precision='fp32', on_collapse='go-on', max_length=32
    )
    acceptor.train('x.tsv', out='out', config=config)
    assert acceptor.load('out', device='cpu')(['the cats sleep.'])
finally:
    fcntl.flock, os.fsync = flock, fsync
"""

BIG_FILE = """sh -c {python} - <<'END'
import random
rng = random.Random(0)
words = 'the cats see sleep girl boy garden book mat John'.split()
open('big.txt', 'w').writelines(' '.join(rng.choices(words, k=24)) + '.\\n' for _ in range(700_000))
END
$ACCEPTOR predict {run} big.txt -o out.jsonl
"""

SNAPSHOT = """sh -c base=hub/models--me--judge; mkdir -p $base/blobs $base/snapshots/abc $base/refs; echo abc > $base/refs/main
for file in $(cd FROM && find . -type f); do
  mkdir -p $base/snapshots/abc/$(dirname $file)
  sum=$(sha256sum FROM/$file | cut -c1-64); cp FROM/$file $base/blobs/$sum
  ln -s $(realpath --relative-to=$base/snapshots/abc/$(dirname $file) $base/blobs/$sum) $base/snapshots/abc/$file
done
"""

PART_OF_A_SNAPSHOT = """sh -c base=hub/models--me--enc; mkdir -p $base/blobs $base/snapshots/abc $base/refs; echo abc > $base/refs/main
cp {encoder}/config.json $base/snapshots/abc/
HF_HUB_CACHE=hub HF_HUB_OFFLINE=1 $ACCEPTOR train x.tsv --encoder me/enc --epochs 1 --json --out out
"""

MODULE = """
import shutil
import acceptor, torch
from acceptor.model.classifier import new_classifier
from acceptor.model.pretrained import find_encoder
from safetensors.torch import load_file, save_file
shutil.copytree('{encoder}', 'enc')
weights = {'module.' + name: value for name, value in load_file('enc/model.safetensors').items()}
save_file(weights, 'enc/model.safetensors', {'format': 'pt'})
a, b = (new_classifier(find_encoder(folder), ('a', 'b'), seed=0).state_dict() for folder in ('enc', '{encoder}'))
assert all(torch.equal(a[name], b[name]) for name in b), 'other weights'
"""

PLAIN_CLASSIFIER = """
import acceptor
from transformers import AutoModelForSequenceClassification, AutoTokenizer
AutoModelForSequenceClassification.from_pretrained('{encoder}', num_labels=2 NAMES).save_pretrained('hf')
AutoTokenizer.from_pretrained('{encoder}').save_pretrained('hf')
try:
    judge = acceptor.load('hf', device='cpu')
except acceptor.AcceptorError as error:
    assert ALLOWED and 'label' in str(error).lower(), error
else:
    assert judge(['the cats sleep.'])
    assert ALLOWED or set(judge.labels) == {'ham', 'spam'}, judge.labels
"""

OLD_SENTENCE_TRANSFORMERS = """sh -c mkdir -p st/0_Transformer st/1_Pooling; cp {encoder}/* st/0_Transformer/
cat > st/modules.json <<'END'
[{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
 {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
END
"""

MECAB = """sh -c cp -r {encoder} jp && rm jp/tokenizer.json
printf '[PAD]\\n[UNK]\\n[CLS]\\n[SEP]\\n[MASK]\\n本\\n猫\\n' > jp/vocab.txt
echo '{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"}' > jp/tokenizer_config.json
$ACCEPTOR train x.tsv --encoder jp --epochs 1 --device cpu --json --out out
"""
