"""Judges files on a Ray cluster and counts the verdicts of all parts.

    python examples/ray_cluster.py runs/starter 'crawl/*.jsonl.zst' verdicts.parquet --cluster local

`--cluster auto` or HOST:PORT uses a running cluster; then sources and output must be paths that all machines can read,
or addresses such as s3://bucket/crawl/. After a stop the same command continues. On the command line it is
`acceptor predict RUN SOURCE -o OUT --ray auto`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow.dataset

from acceptor.integrations import ray
from acceptor.judging.rows import PredictSettings


def main() -> None:
    """Judges, then reads the output as one data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder or an exported .onnx file; it is sent to the workers")
    parser.add_argument("sources", nargs="+", help="files, folders or patterns: paths or addresses")
    parser.add_argument("out", help="a folder; its suffix is the format of the parts")
    parser.add_argument("--cluster", default="local", help="local, auto or HOST:PORT")
    parser.add_argument("--workers", type=int, help="judging processes [one a GPU, else a CPU]")
    parser.add_argument("--where", help="write only these rows: \"verdict = 'acceptable' and probability >= .8\"")
    options = parser.parse_args()
    settings = PredictSettings(where=options.where)
    how = {"cluster": options.cluster, "workers": options.workers}
    tally = ray.predict(options.run, options.sources, options.out, settings, **how)
    print(tally)
    # Files whose names start with `_` (manifest, rejected rows) are skipped, as by every reader of data sets.
    verdicts = pyarrow.dataset.dataset(options.out).to_table(columns=["verdict"])
    for counted in verdicts["verdict"].value_counts():
        print(f"{counted['counts'].as_py():>12,}  {counted['values'].as_py()}")


if __name__ == "__main__":
    main()
