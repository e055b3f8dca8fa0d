"""Tests a running server: a table, then one JSON object on the last line.

python -m benchmarks.load                     all parts, half an hour on 2 cores; each is put into records/serving.md
python -m benchmarks.load --quick --run RUN   under a minute: the same tests, fewer tries, no figures of speed
python -m benchmarks.load --only ledger,leak  some parts; the record keeps the others
python -m benchmarks.load --long              looks for leaks in a million requests

It starts `acceptor serve RUN --port 0` as a process of its own for each part and sends requests on loopback only,
from processes of their own. mosec, LitServe and Schemathesis are used if they are in build/mosec, build/litserve
and build/schemathesis; otherwise their rows say how to install them. Exits with 1 if a promise is broken that does
not depend on the speed of the machine.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import record
from benchmarks.load.attacks import hostile
from benchmarks.load.checks import Part
from benchmarks.load.leak import leak
from benchmarks.load.ledger import ledger
from benchmarks.load.processes import raise_limits, set_client_core_apart
from benchmarks.load.schema import schema
from benchmarks.load.signals import signals
from benchmarks.load.texts import Material, prepared, trained_run
from benchmarks.load.throughput import throughput

TEXTS = 100_000


def main() -> None:
    """Reads the arguments, runs the parts, prints, writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a judge; by default the demo's, trained once")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="", help="names of parts, with commas: " + ", ".join(record.TITLES))
    options = parser.parse_args()
    where, limit, core = record.conditions(), raise_limits(), set_client_core_apart()
    parts: dict[str, Callable[[Material], Part]] = {
        "throughput": throughput,
        "ledger": lambda material: ledger(material, limit),
        "signals": signals,
        "hostile": hostile,
        "schema": schema,
        "leak": lambda material: leak(material, is_long=options.long),
    }
    only = options.only.split(",") if options.only else list(QUICK if options.quick else parts)
    if unknown := set(only) - parts.keys():
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    done: dict[str, Part] = {}
    with tempfile.TemporaryDirectory() as scratch:
        run = (options.run or trained_run()).resolve()
        material = prepared(run, 2_000 if options.quick else TEXTS, Path(scratch), core, quick=options.quick)
        for name in only:
            began = time.perf_counter()
            part = done[name] = parts[name](material)
            part.figures["part_seconds"] = round(time.perf_counter() - began, 1)
            if not options.quick:
                record.keep(
                    name, part, where, "make load" + f" ARGS='{shlex.join(sys.argv[1:])}'" * (len(sys.argv) > 1)
                )
            for check in part.checks:
                print(f"{record.STATES[check.is_kept].strip('*'):>10}  {check.what}: {check.found}  [{check.target}]")
            print(f"{name}: {part.figures['part_seconds']:.0f} s", file=sys.stderr, flush=True)
    print(record.line_of(done, where))
    sys.exit(any(check.is_kept is False and not check.is_speed for part in done.values() for check in part.checks))


QUICK = ("ledger", "signals", "hostile")
"""The parts of the quick form. The others measure speed, which a test suite cannot, or need other packages."""


if __name__ == "__main__":
    main()
