"""What a command did to the disk, recorded, and what a power cut would leave at each point of it.

    strace -> operations on the files of one folder -> a disk that forgets -> folders to look at

The idea is that of dm-log-writes, in user space. A file's bytes are sure to be on the disk only
once the file was synchronised, and a name only once its folder was: POSIX promises no more, and
every file system keeps more than that of it, sometimes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest

STRACE = shutil.which("strace")
NEEDS_STRACE = pytest.mark.skipif(
    STRACE is None, reason="NOT CHECKED: power cuts need strace, apt install strace"
)
_CALLS = (
    "openat,open,creat,close,dup,dup2,dup3,write,pwrite64,lseek,ftruncate,rename,renameat,"
    "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,"
    "fcntl,fallocate,writev,pwritev,truncate,symlink,copy_file_range,sendfile"
)
_NONE_OF_OURS = ("writev", "pwritev", "truncate", "symlink", "copy_file_range", "sendfile")
_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*)\) += (-?\d+)|(\w+)\((.*) <unfinished \.\.\.>"
                   r"|<\.\.\. (\w+) resumed>(.*)\) += (-?\d+))", re.DOTALL)  # fmt: skip
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


class Cut(Enum):
    """How much of what was not synchronised a power cut leaves.

    KILLED: all of it, as where only the program was killed. NOTHING: nothing. NAMES: names without
    bytes. BYTES: bytes without names. TORN: names, and every second write.
    """

    KILLED = "killed"
    NOTHING = "nothing"
    NAMES = "names"
    BYTES = "bytes"
    TORN = "torn"


@dataclass(frozen=True, slots=True)
class Operation:
    """One system call. told: what was said on stdout."""

    name: str
    path: str = ""
    other: str = ""
    handle: int = -1
    data: bytes = b""
    at: int = 0
    told: str = ""


def record(words: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> list[Operation]:
    """Run a command to its end, and list what it did in `folder`. Code 4: a gallery is damaged."""
    assert STRACE is not None
    trace = folder.parent / "trace"
    watch = [STRACE, "-f", "--seccomp-bpf", "-qq", "-xx", "-s", str(1 << 26), "-o", str(trace)]
    done = subprocess.run(
        [*watch, "-e", f"trace={_CALLS}", "-e", "signal=none", *map(str, words)],
        env=dict(env), cwd="/", capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 4), done.stderr
    with trace.open() as lines:
        found = list(_operations(lines, str(folder)))
    trace.unlink()
    return found


def _operations(lines: Iterator[str], folder: str) -> Iterator[Operation]:
    begun: dict[str, str] = {}
    files = _Handles(folder)
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        pid, name, given, result, unfinished, first, resumed, rest, late = match.groups()
        if unfinished:
            begun[pid] = first
            continue
        if resumed:
            name, given, result = resumed, begun.pop(pid) + rest, late
        if int(result) >= 0:
            yield from files.operation(name, given, int(result))


class _Handles:
    """Which of the command's open files lie in the folder. Threads share them, and none forks."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._ours: dict[int, int] = {}  # a handle, and the number of the opening that gave it
        self._openings = 0

    def operation(self, name: str, given: str, result: int) -> Iterator[Operation]:
        texts = [bytes.fromhex(t.replace("\\x", "")) for t, cut in _TEXT.findall(given)]
        plain = _TEXT.sub('""', given)
        numbers = [int(n) for n in re.findall(r"(?<![\w|])-?\d+(?![\w|])", plain)]
        handle = numbers[0] if numbers and plain[:1].isdigit() else -1
        if name in ("openat", "open", "creat"):
            self._ours.pop(result, None)
            if self._is_in(path := os.fsdecode(texts[0])):
                self._openings += 1
                self._ours[result] = self._openings
                flags = "t" * ("O_TRUNC" in plain) + "a" * ("O_APPEND" in plain)
                yield Operation("open", self._within(path), flags, self._openings)
        elif name in ("dup", "dup2", "dup3") or (name == "fcntl" and "F_DUPFD" in plain):
            self._ours.pop(result, None)
            if handle in self._ours:
                self._ours[result] = self._ours[handle]
        elif name == "close":
            self._ours.pop(handle, None)
        elif name == "write" and handle == 1:
            yield Operation("told", told=texts[0].decode())
        elif name in ("rename", "renameat", "renameat2", "link", "linkat"):
            one, two = map(os.fsdecode, texts[:2])
            if self._is_in(one) or self._is_in(two):
                yield Operation(name.rstrip("at2"), self._within(one), self._within(two))
        elif name in ("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"):
            if self._is_in(path := os.fsdecode(texts[0])):
                kind = "rmdir" if "AT_REMOVEDIR" in plain else name.removesuffix("at")
                mode = int(plain.rsplit(",", 1)[1], 8) if kind == "mkdir" else 0
                yield Operation(kind, self._within(path), at=mode)
        elif handle in self._ours:
            assert name not in _NONE_OF_OURS, f"{name}: teach this module what it does"
            number = self._ours[handle]
            if name == "write":
                yield Operation("write", handle=number, data=texts[0][:result], at=-1)
            elif name == "pwrite64":
                yield Operation("write", handle=number, data=texts[0][:result], at=numbers[-1])
            elif name == "lseek":
                yield Operation("seek", handle=number, at=result)
            elif name == "ftruncate":
                yield Operation("truncate", handle=number, at=numbers[1])
            elif name in ("fsync", "fdatasync"):
                yield Operation("sync", handle=number)

    def _is_in(self, path: str) -> bool:
        """Files in memory that SQLite shares between programs are none: it makes them anew."""
        inside = path == self._folder or path.startswith(self._folder + "/")
        return inside and not path.endswith("-shm")

    def _within(self, path: str) -> str:
        assert self._is_in(path), f"{path} is moved in or out of the folder that is watched"
        return path[len(self._folder) + 1 :]


@dataclass(slots=True, eq=False)
class _File:
    now: bytearray
    sure: bytes = b""
    waiting: list[Callable[[bytearray], None]] = field(default_factory=list)

    def change(self, how: Callable[[bytearray], None]) -> None:
        how(self.now)
        self.waiting.append(how)

    def sync(self) -> None:
        self.sure = bytes(self.now)
        self.waiting.clear()

    def after(self, cut: Cut) -> bytes:
        if cut in (Cut.KILLED, Cut.BYTES):
            return bytes(self.now)
        left = bytearray(self.sure)
        if cut is Cut.TORN:
            for how in self.waiting[::2]:
                how(left)
        return bytes(left)


@dataclass(slots=True, eq=False)
class _Folder:
    mode: int
    now: dict[str, _File | _Folder] = field(default_factory=dict)
    sure: dict[str, _File | _Folder] = field(default_factory=dict)

    def sync(self) -> None:
        self.sure = dict(self.now)

    def after(self, cut: Cut) -> dict[str, _File | _Folder]:
        return self.sure if cut in (Cut.NOTHING, Cut.BYTES) else self.now


class Disk:
    """A folder as a command changes it, in memory, which can be cut off at any point."""

    def __init__(self, folder: Path) -> None:
        """folder: as it is before, all of it on the disk."""
        self._top = _loaded(folder)
        self._open: dict[int, _File | _Folder] = {}
        self._places: dict[int, int] = {}

    def do(self, operation: Operation) -> None:
        """What the command did."""
        o = operation
        match o.name:
            case "open":
                there = self._at(o.path)
                if there is None:
                    there = _File(bytearray())
                    self._put(o.path, there)
                elif isinstance(there, _File) and "t" in o.other:
                    there.change(lambda data: _truncate(data, 0))
                self._open[o.handle], self._places[o.handle] = there, 0
                assert "a" not in o.other, "a file opened to append"
            case "write":
                file = self._open[o.handle]
                assert isinstance(file, _File)
                start = self._places[o.handle] if o.at < 0 else o.at
                file.change(lambda data: _write(data, start, o.data))
                if o.at < 0:
                    self._places[o.handle] = start + len(o.data)
            case "seek":
                self._places[o.handle] = o.at
            case "truncate":
                file = self._open[o.handle]
                assert isinstance(file, _File)
                file.change(lambda data: _truncate(data, o.at))
            case "sync":
                self._open[o.handle].sync()
            case "rename" | "link":
                moved = self._at(o.path)
                assert moved is not None
                if moved is not self._at(o.other):
                    self._put(o.other, moved)
                    if o.name == "rename":
                        self._take(o.path)
            case "unlink" | "rmdir":
                self._take(o.path)
            case "mkdir":
                self._put(o.path, _Folder(o.at))

    def digest(self, cut: Cut) -> str:
        """The same for disks with the same on them after such a cut."""
        numbers: dict[int, int] = {}
        total = hashlib.sha256()
        for path, there in _walk(self._top, cut):
            number = numbers.setdefault(id(there), len(numbers))
            what = there.after(cut) if isinstance(there, _File) else oct(there.mode).encode()
            total.update(f"{path}\0{number}\0{len(what)}\0".encode() + what)
        return total.hexdigest()

    def write_to(self, folder: Path, cut: Cut) -> None:
        """Make the empty folder what is left after such a cut."""
        written: dict[int, Path] = {}
        for path, there in _walk(self._top, cut):
            target = folder / path
            if isinstance(there, _Folder):
                target.mkdir()
                target.chmod(there.mode)
            elif id(there) in written:
                os.link(written[id(there)], target)
            else:
                target.write_bytes(there.after(cut))
                target.chmod(0o600)
                written[id(there)] = target

    def _at(self, path: str) -> _File | _Folder | None:
        there: _File | _Folder | None = self._top
        for part in filter(None, path.split("/")):
            there = there.now.get(part) if isinstance(there, _Folder) else None
        return there

    def _parent(self, path: str) -> tuple[_Folder, str]:
        folder, _, name = path.rpartition("/")
        there = self._at(folder)
        assert isinstance(there, _Folder)
        return there, name

    def _put(self, path: str, what: _File | _Folder) -> None:
        folder, name = self._parent(path)
        folder.now[name] = what

    def _take(self, path: str) -> None:
        folder, name = self._parent(path)
        del folder.now[name]


def _loaded(folder: Path) -> _Folder:
    made = _Folder(folder.stat().st_mode & 0o7777)
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            made.now[path.name] = _loaded(path)
        else:
            made.now[path.name] = _File(bytearray(path.read_bytes()), path.read_bytes())
    made.sync()
    return made


def _walk(folder: _Folder, cut: Cut, above: str = "") -> Iterator[tuple[str, _File | _Folder]]:
    for name, there in sorted(folder.after(cut).items()):
        yield above + name, there
        if isinstance(there, _Folder):
            yield from _walk(there, cut, f"{above}{name}/")


def _truncate(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


def _write(data: bytearray, start: int, content: bytes) -> None:
    data.extend(bytes(max(0, start - len(data))))
    data[start : start + len(content)] = content
