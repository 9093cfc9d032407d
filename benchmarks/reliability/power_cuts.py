"""Every command that writes, its power cut at each step: see tests/support/cuts.py.

On a disk in memory that keeps no more than POSIX promises; and, for root, on a real ext4 in a loop
device, where each cut is a copy of the device, whose journal is then replayed as after any other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from support.cuts import SCENARIOS, InProcess, Outcome, Scenario, attack, recorded
from support.disk import STRACE, Operation

POINTS = int(os.environ.get("POINTS", "0")) or None  # of each command; 0: all there are
SIZE = 24 << 20  # bytes of the device
# ext4 helps programs that forget to synchronise, and writes by itself every few seconds: not here.
OPTIONS = "loop,noauto_da_alloc,commit=600"
_NOTEWORTHY = {"sync", "rename", "link", "unlink", "told"}


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is. What did not survive is told on stderr."""
    if STRACE is None:
        return [("power cuts survived / tried", "NOT MEASURED: strace is not installed")]
    memory = _everywhere(attack)
    found = [
        ("power cuts survived / tried", _told(memory, "cuts")),
        ("steps of commands killed in between, survived / tried", _told(memory, "steps")),
    ]
    if not _may_mount():
        return [*found, ("the same cuts on ext4", "NOT MEASURED: needs root and a loop device")]
    return [*found, ("power cuts on ext4 survived / tried", _told(_everywhere(on_ext4), "cuts"))]


def _everywhere(
    how: Callable[[Scenario, Path, InProcess, int | None], Outcome],
) -> dict[str, Outcome]:
    done = {}
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            home = InProcess(Path(folder) / "home")
            done[scenario.name] = how(scenario, Path(folder) / "it", home, POINTS)
        for failure in done[scenario.name].failures:
            print(failure, file=sys.stderr)
    return done


def _told(done: dict[str, Outcome], kind: str) -> str:
    each = ", ".join(f"{name} {found.tried[kind]}" for name, found in done.items())
    total = sum((found.tried for found in done.values()), Counter[str]())
    survived = sum((found.survived for found in done.values()), Counter[str]())
    return f"{survived[kind]:,} / {total[kind]:,} ({each})"


# a real file system --------------------------------------------------------------------------


def on_ext4(scenario: Scenario, folder: Path, facecli: InProcess, most: int | None) -> Outcome:
    """Repeat what the command did on ext4, and look at what it keeps after each change of it."""
    found, outcome = recorded(scenario, folder, facecli), Outcome()
    device, copy = folder / "device", folder / "copy"
    with device.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    seen: set[tuple[str, bool]] = set()
    with _mounted(device, folder / "live") as live, _Hands(live / "here") as hands:
        shutil.copytree(found.before, live / "here")
        subprocess.run(["sync", "-f", live], check=True)
        for number, operation in enumerate(found.operations):
            hands.do(operation)
            if operation.name not in _NOTEWORTHY or (most and outcome.tried["cuts"] >= most):
                continue
            subprocess.run(["cp", "--sparse=always", device, copy], check=True)
            with _mounted(copy, folder / "after") as after:
                subprocess.run(["cp", "-a", after / "here", found.place.here], check=True)
            left = (_digest(found.place.here), number >= found.reported)
            if left in seen:
                shutil.rmtree(found.place.here)
            else:
                seen.add(left)
                outcome.look("cuts", "ext4 after", number, scenario, found)
    return outcome


class _Hands:
    """Does again what was recorded, on real files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, int] = {}

    def __enter__(self) -> _Hands:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open.values():
            os.close(handle)

    def do(self, done: Operation) -> None:
        path, handle = self._folder / done.path, self._open.get(done.handle, -1)
        match done.name:
            case "open":
                how = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
                how |= os.O_TRUNC if "t" in done.other else 0
                self._open[done.handle] = os.open(path, how, 0o600)
            case "write" if done.at < 0:
                os.write(handle, done.data)
            case "write":
                os.pwrite(handle, done.data, done.at)
            case "seek":
                os.lseek(handle, done.at, os.SEEK_SET)
            case "truncate":
                os.ftruncate(handle, done.at)
            case "sync":
                os.fsync(handle)
            case "rename":
                path.rename(self._folder / done.other)
            case "link":
                os.link(path, self._folder / done.other)
            case "unlink":
                path.unlink()
            case "mkdir":
                path.mkdir(done.at)
            case "rmdir":
                path.rmdir()


@contextmanager
def _mounted(device: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", OPTIONS, device, at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


def _may_mount() -> bool:
    if os.name == "nt" or os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        return False
    with tempfile.TemporaryDirectory() as made:
        device = Path(made) / "device"
        with device.open("wb") as file:
            file.truncate(SIZE)
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["mkfs.ext4", "-q", device], check=True)
            with _mounted(device, Path(made) / "at"):
                return True
    return False


def _digest(folder: Path) -> str:
    total = sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)}\0{path.lstat().st_nlink}\0".encode())
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest()


if __name__ == "__main__":
    for row in rows():
        print(*row, sep="\t")
