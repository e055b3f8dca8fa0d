"""Chinese and Japanese, which have no spaces between words: lengths, words, figures and commands are right for them.

The corpora are small and written for this test: pairs of an acceptable and an unacceptable sentence. The encoders are
random, their vocabularies those of multilingual encoders in kind: WordPiece with single ideographs (as BERT's), Unigram
(as XLM-R's) and byte-level BPE, whose tokens may be parts of a character.
"""

from __future__ import annotations

import json

import pytest

import acceptor
import tiny
from acceptor.model.encode import encode_words
from acceptor.model.tokenizer import load_tokenizer
from acceptor.report.figures import as_svg, drawing, new_figure
from acceptor.report.fonts import OWN, _font_with

CHINESE = """\
我买了三本书。|我买了三书。
他喝了一杯热茶。|他喝了一茶杯热。
那张桌子很大。|那桌子张很大。
弟弟比我高得多。|弟弟比我很高。
我昨天没去学校。|我昨天不去了学校。
她把门轻轻地关上了。|她把门轻轻地关。
我吃完饭就去图书馆看书了。|我吃饭完就去图书馆看书了。
他每天早上都在公园里跑步。|他都跑步在公园里每天早上。
我跟他一起坐地铁去上班。|我坐地铁一起跟他去上班。
你是不是王老师的学生？|你是不是王老师的学生吗？
这是我妹妹的新手机。|这是新我妹妹的手机。
她唱歌唱得特别好听。|她唱歌得特别好听。
我从来没见过这么大的西瓜。|我从来见过没这么大的西瓜。
外面正在下大雨。|外面下正在大雨。
他用 Python 写了一个很短的程序。|他用 Python 写了很短的一程序。
因为路上堵车，所以我迟到了二十分钟。|因为路上堵车，所以我二十分钟迟到了。
只要你努力，就一定能通过这次考试。|只要你努力，一定就能这次通过考试。
虽然他在中国住了十年，但是还不太会说汉语。|虽然他在中国十年住了，但是还不太说会汉语。
除了小李以外，我们班的同学都参加了昨天晚上的音乐会。|除了小李以外，都我们班的同学参加了音乐会昨天晚上的。
经过医生和护士三个多月的精心照顾，奶奶的病终于完全好了。|经过医生和护士三个月多的精心照顾，奶奶的病终于好完全了。"""

JAPANESE = """\
太郎が本を読んだ。|太郎が本に読んだ。
花子は毎朝パンを食べる。|花子は毎朝パンが食べる。
犬が庭で走っている。|犬が庭で走るいる。
私は学校へ行きます。|私は行きます学校へ。
この部屋はとても静かだ。|この部屋はとても静かい。
昨日は寒かったです。|昨日は寒いでした。
彼女は歌うのが上手だ。|彼女は歌うが上手だ。
先生に本をいただいた。|先生が本をいただいた。
子どもたちが三人来た。|子どもたちが三本来た。
雨が降りそうだ。|雨が降るそうにだ。
コンピューターのスイッチを入れてください。|コンピューターがスイッチを入れるください。
駅まで歩いて十分かかる。|駅まで歩くて十分かかる。
日本語を勉強したことがあります。|日本語を勉強することがありました。
母は私に野菜を食べさせた。|母は私が野菜を食べさせた。
弟は犬に手をかまれた。|弟は犬が手をかまれた。
もし時間があれば、映画を見に行きたい。|もし時間があるれば、映画を見るに行きたい。
彼が来るかどうか、誰も知らない。|彼が来るかどうか、誰も知る。
この問題は難しすぎて、私には解けない。|この問題は難しいすぎて、私には解けない。
先週友だちと一緒に京都へ行って、古いお寺をたくさん見ました。|先週友だちと一緒に京都へ行くて、古いのお寺をたくさん見ました。
アメリカに留学している姉から、きのう長いメールが届いた。|アメリカに留学している姉から、きのう長くメールを届いた。"""


def rows_of(text: str, good: str = "1", bad: str = "0"):
    """Sentence, label and source of both sides of each pair."""
    pairs = [line.split("|") for line in text.splitlines()]
    return [
        {"sentence": sentence, "label": label, "source": f"课本{number % 2}"}
        for number, pair in enumerate(pairs)
        for sentence, label in zip(pair, (good, bad), strict=True)
    ]


@pytest.fixture
def make_encoder(monkeypatch, tmp_path):
    """Makes an encoder whose vocabulary has the characters of both languages, and some pairs of them."""

    def make(architecture):
        sentences = [row["sentence"] for text in (CHINESE, JAPANESE) for row in rows_of(text)]
        pieces = [sentence[start : start + 2] for sentence in sentences for start in range(len(sentence))]
        monkeypatch.setattr(tiny, "TEXTS", [*pieces, "Python BERT"])
        return tiny.make_encoder(tmp_path / architecture, architecture, initializer_range=0.2)

    return make


@pytest.mark.parametrize(
    ("text", "words", "characters"),
    [(CHINESE, (5.0, 11.0, 26.0), (6.0, 12.0, 28.0)), (JAPANESE, (7.0, 10.5, 29.0), (8.0, 12.0, 31.0))],
)
def test_lengths_are_in_words_of_unicode_and_in_characters(text, words, characters):
    found = acceptor.audit(acceptor.load_data(rows_of(text)).train)
    assert tuple(found.words[name] for name in ("min", "median", "max")) == words
    assert tuple(found.characters[name] for name in ("min", "median", "max")) == characters


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "roberta"])
def test_words_that_are_explained_are_no_sentences(architecture, make_encoder):
    tokenizer = load_tokenizer(make_encoder(architecture))
    sentences = [row["sentence"] for text in (CHINESE, JAPANESE) for row in rows_of(text)]
    for sentence, one in zip(sentences, encode_words(tokenizer, sentences, max_length=64), strict=True):
        assert "".join(one.words) == sentence.replace(" ", "")
        assert all(one.words)
        assert max(map(len, set(one.words) - {"Python"})) <= 3, one.words
        assert one.owners.max() == len(one.words) - 1
    [mixed] = encode_words(tokenizer, ["他用BERT模型。"], max_length=64)
    assert "".join(mixed.words) == "他用BERT模型。"
    assert len(mixed.words) >= 4


def test_a_judge_of_chinese_from_the_file_to_the_report(make_encoder, run_cli, tmp_path):
    rows = rows_of(CHINESE, "可接受", "不可接受")
    for name, part in (("train", rows[8:]), ("test", rows)):
        lines = [f"{row['sentence']}\t{row['label']}\t{row['source']}\n" for row in part]
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\tsource\n" + "".join(lines), "utf-8")
    out, train, test = tmp_path / "run", tmp_path / "train.tsv", tmp_path / "test.tsv"
    settings = ("--encoder", make_encoder("xlm-roberta"), "--labels", "不可接受,可接受", "--on-collapse", "go-on")
    settings += ("--epochs", "12", "--batch-size", "8", "--learning-rate", "0.01", "--validation", test)
    code, stdout, stderr = run_cli("train", train, *settings, "--out", out)
    assert code == 0, stderr
    run = acceptor.load(out)
    assert run.labels == ("不可接受", "可接受")
    code, stdout, _ = run_cli("evaluate", out, test, "--by", "length", "--by", "source", "--json")
    slices = json.loads(stdout)["slices"]
    assert [part["value"] for part in slices["length"]] == ["1–10 words", "11–16 words", "17–24 words", "25–40 words"]
    assert {part["value"] for part in slices["source"]} == {"课本0", "课本1"}
    page = tmp_path / "report.html"
    assert run_cli("report", out, "-o", page)[0] == 0
    html = page.read_text("utf-8")
    assert "不可接受" in html
    assert "课本1" in html
    code, stdout, _ = run_cli("judge", out, "我买了三本书。", "--why", "occlusion")
    assert code == 0
    assert sum(line.startswith(("我", "买", "了", "三", "本", "书")) for line in stdout.splitlines()) >= 3


def test_a_command_to_try_a_judge_has_a_sentence_of_its_language_and_question():
    chinese, english = rows_of(CHINESE), [("The cats sleep.", "1"), ("A naïve cat.", "0"), ("It was.", "1")]
    assert acceptor.load_data(chinese).train.example == "我买了三书。"
    assert acceptor.load_data(english).train.example == "The book was wrote."
    questions = [("Where is the zoo", "question"), ("I sold the car yesterday", "statement")] * 3
    assert acceptor.load_data(questions).train.example == "Where is the zoo"


@pytest.mark.skipif(not _font_with(frozenset("可接受")), reason="no font on this machine has Chinese")
def test_figures_show_labels_in_scripts_that_matplotlibs_font_lacks():
    with drawing():
        figure, axes = new_figure("可接受")
        axes.set_yticks([0, 1], ["课本", "naïve"])
    as_svg(figure)
    title, [chinese, latin] = figure._suptitle, axes.get_yticklabels()
    assert title.get_fontfamily() == chinese.get_fontfamily() == [OWN, _font_with(frozenset("可接受课本"))]
    assert len(latin.get_fontfamily()) == 1
