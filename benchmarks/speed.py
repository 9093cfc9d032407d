"""Speed and memory, each figure beside its reference in the same run.

    python benchmarks/speed.py ../shared/lfw-dev/photos [--photos 1000]

Whole processes, start-up included. "Cold" means a new process; the files are in the page cache.
The pairs are run in turn, so that a busy machine slows both, and the medians are shown.
Needs Linux or macOS (peak memory from wait4).
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tabulate import tabulate

PYTHON = sys.executable
FACECLI = (PYTHON, "-m", "facecli")
NAIVE = (PYTHON, str(Path(__file__).with_name("naive.py")))
IMPORTS = (PYTHON, "-c", "import numpy, cv2, onnxruntime")
TYPER = (PYTHON, "-c", "import typer")
ENROL_RUNS, START_RUNS = 3, 9


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process. seconds: wall. cpu: seconds of all its threads. memory: peak, MB."""

    seconds: float
    cpu: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="a folder per person")
    parser.add_argument("--photos", type=int, default=1000)
    args = parser.parse_args()
    photos = sorted(args.root.resolve().glob("*/*.jpg"))[: args.photos]
    with tempfile.TemporaryDirectory() as folder:
        people, gallery = Path(folder) / "people.csv", Path(folder) / "gallery.facecli"
        listed(photos, people)
        rows = [*enrolment(people, gallery, len(photos)), *starts(photos[0], gallery, len(photos))]
    header = ("what", "facecli", "reference", "what it is", "ratio")
    print(tabulate(rows, header, disable_numparse=True))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


def listed(photos: Sequence[Path], table: Path) -> None:
    """A CSV of path,subject, for both."""
    with table.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("path", "subject"))
        writer.writerows((photo, photo.parent.name) for photo in photos)


def enrolment(people: Path, gallery: Path, count: int) -> list[tuple[str, ...]]:
    """Photos a second and peak memory, against the naive loop. Leaves the gallery."""
    ours, naive = [], []
    for _ in range(ENROL_RUNS):
        for end in ("", "-wal", "-shm"):
            gallery.with_name(gallery.name + end).unlink(missing_ok=True)
        ours.append(cost((*FACECLI, "enroll", str(people), "-g", str(gallery), "--quiet")))
        naive.append(cost((*NAIVE, str(people), str(gallery.with_suffix(".npz")))))
    fast, slow = (count / median(c.seconds for c in costs) for costs in (ours, naive))
    small, large = (median(c.memory for c in costs) for costs in (ours, naive))
    work, loop = (1000 * median(c.cpu for c in costs) / count for costs in (ours, naive))
    name = f"enrol {count:,} photos"
    loop_name = "naive loop, one thread"
    return [
        (name, f"{fast:.0f} photos/s", f"{slow:.0f} photos/s", loop_name, f"{fast / slow:.2f}"),
        ("enrol: CPU a photo", f"{work:.1f} ms", f"{loop:.1f} ms", loop_name, f"{work / loop:.2f}"),
        (
            "enrol: peak memory",
            f"{small:.0f} MB",
            f"{large:.0f} MB",
            loop_name,
            f"{small / large:.2f}",
        ),
    ]


def starts(photo: Path, gallery: Path, count: int) -> list[tuple[str, ...]]:
    """What a user waits for at a prompt."""
    identify = (*FACECLI, "identify", str(photo), "-g", str(gallery), "--json")
    return [
        start(f"identify 1 photo among {count:,}", identify, IMPORTS),
        start("--help", (*FACECLI, "--help"), TYPER),
    ]


def start(name: str, ours: Sequence[str], reference: Sequence[str]) -> tuple[str, ...]:
    """One row: the medians of both, run in turn."""
    pairs = [(cost(ours).seconds, cost(reference).seconds) for _ in range(START_RUNS)]
    mine, other = (1000 * median(times) for times in zip(*pairs, strict=True))
    what = " ".join(("python", *reference[1:]))
    return name, f"{mine:.0f} ms", f"{other:.0f} ms", what, f"{mine / other:.2f}"


def cost(command: Sequence[str]) -> Cost:
    """Run it to its end. Raises RuntimeError with its last words if it fails."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {out.read().decode()[-500:]}")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes here
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


if __name__ == "__main__":
    main()
