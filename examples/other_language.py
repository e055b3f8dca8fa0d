"""Trains a judge of another language. Here: Chinese, on minimal pairs in this file, or on a file of yours.

    python examples/other_language.py google-bert/bert-base-chinese --out runs/chinese
    python examples/other_language.py FacebookAI/xlm-roberta-base --data my.tsv --out runs/my

The encoder must know the script; one that does not is refused. Twenty-four pairs show how it is done; they are too few
for a judge that is worth anything: bring thousands.
"""

from __future__ import annotations

import argparse

import acceptor

PAIRS = """我买了三本书。 我买了三书。|他喝了一杯茶。 他喝了一茶杯。|她有两只猫。 她有两猫只。
那张桌子很大。 那桌子张很大。|我把门关上了。 我把门关。|他把书放在桌子上。 他把放书在桌子上。
弟弟比我高。 弟弟比我很高。|今天比昨天冷。 今天冷比昨天。|我昨天没去学校。 我昨天不去了学校。
他不喜欢喝咖啡。 他喜欢喝不咖啡。|我吃完饭了。 我吃饭完了。|她听懂了。 她懂听了。
他每天早上跑步。 他跑步每天早上。|我们明天去北京。 我们去明天北京。|妈妈在厨房做饭。 妈妈做饭在厨房。
我跟他一起走。 我走一起跟他。|你喜欢什么颜色？ 什么你喜欢颜色？|他是不是老师？ 他是不是老师吗？
你去不去？ 你去不去吗？|这是我的书。 这是书我的。|他跑得很快。 他跑很得快。
她唱歌唱得好。 她唱歌得好。|我见过他。 我过见他。|外面正在下雨。 外面下正在雨。"""


def corpus() -> acceptor.Data:
    """The pairs as sentences with labels. A pair stays in one split, else its twin would reveal the answer."""
    train, validation = [], []
    for index, pair in enumerate(PAIRS.replace("\n", "|").split("|")):
        good, bad = pair.split()
        (train if index % 4 else validation).extend([(good, "1"), (bad, "0")])
    return acceptor.load_data(train, validation=validation)


def main() -> None:
    """Trains, and judges a new pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="an encoder that knows the language: a folder or a hub name")
    parser.add_argument("--data", help="a file with sentences and labels [the pairs in this file]")
    parser.add_argument("--epochs", type=int, help="[derived]")
    parser.add_argument("--out", default="runs/chinese")
    options = parser.parse_args()
    data = acceptor.load_data(options.data) if options.data else corpus()
    # Few examples often end in one verdict for all. That is worth a warning here, not an error.
    config = acceptor.TrainConfig(encoder=options.encoder, epochs=options.epochs, on_collapse="go-on")
    run = acceptor.train(data, out=options.out, config=config)
    print(run.report)
    new = ["我借了两本书。", "我借了两书。"]
    for sentence, verdict in zip(new, run.judge(new), strict=True):
        print(f"{verdict.label:<14}{verdict.probability:.2f}  {sentence}")


if __name__ == "__main__":
    main()
