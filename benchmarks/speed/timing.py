"""What a process costs, and the rows that the speed benchmarks print. Not a benchmark itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

# what was done, facecli's figure, the reference's, what the reference is, the first over the second
Row = tuple[str, str, str, str, str]
HEADER = ("what", "facecli", "reference", "what it is", "ratio")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process. seconds: wall. cpu: seconds of all its threads. memory: peak, MB.

    output: what it wrote to stdout and stderr.
    """

    seconds: float
    cpu: float
    memory: float
    output: str


def cost(command: Sequence[str | Path]) -> Cost:
    """Run it to its end. Raises RuntimeError with its last words if it fails."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {output[-500:]}")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes here
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, output)


def table(rows: Iterable[Row], form: str = "simple") -> str:
    """The rows as every speed benchmark prints them. form: one of tabulate's."""
    return str(tabulate(list(rows), HEADER, tablefmt=form, disable_numparse=True))
