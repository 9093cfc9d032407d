"""Kills whoever is changing a gallery, at random moments, and looks at what is left each time.

    python killing.py FOLDER KILLS SEED        prints a line a kind: what, survived, tried

Forked writers tell each change before it and after it; a model of the gallery is told the same.
After a kill the gallery must be sound and hold what the model does, with or without the one change
that was under way. Real commands are killed, too.
"""

from __future__ import annotations

import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")  # what runs on threads does not survive a fork
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from support.changes import EXPORTS, Change, Model, do, imported, words_of
from support.galleries import (
    Command,
    collins,
    environment,
    hopper,
    new_store,
    old_gallery,
    reference,
    unit_vector,
    write_variants,
)
from support.networks import network

import facecli.storage.search.quantised  # noqa: F401 (loaded once, not by every writer)
from facecli.gallery.gallery import Gallery
from facecli.storage import export
from facecli.storage.interface import Group
from facecli.storage.search import candidates, ranker
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite.store import GalleryFile

MODEL = ("--channel-order", "RGB", "--mean", "127.5", "--std", "128", "--no-flip", "--name", "grid")
UNFINISHED = "an erasure was not finished"


class Attack:
    """A folder with a gallery `g`, attacked kill by kill."""

    def __init__(self, folder: Path, seed: int) -> None:
        candidates.SIDECAR_FROM, candidates.tail_limit = (
            1,
            lambda count: 5,
        )  # one for these few, too
        self.folder, self.draw = folder / "here", random.Random(seed)
        self.folder.mkdir(parents=True)
        self.path, self.number = self.folder / "g", 0
        self.command, self.model = Command(folder / "home"), Model()
        for which in range(EXPORTS):
            other = new_store(folder / "other" / str(which))
            other.add([reference(name, number) for name, number in imported(which)])
            export.export(other.reader, folder / f"in-{which}")
            other.close()
        store = new_store(self.path)
        for _ in range(6):
            self.number += 1
            change = ("add", f"S{self.number}", str(self.number))
            do(store, change)
            self.model.apply(change)
        store.close()

    def writer(self) -> None:
        """Kill a process that changes and changes the gallery."""
        told = self._forked(self._change_for_ever, self.draw.uniform(0, 0.15))
        pending = None
        for line in told:
            if line == "done":
                assert pending is not None
                self._acknowledged(pending)
                pending = None
            else:
                pending = tuple(line.split("\t"))
            self.number += 1
        self._look(pending)

    def shell(self) -> None:
        """Kill a real command; where it was quicker, what it reported must be there."""
        while (words := words_of(change := self._next(), self.folder)) is None:
            pass
        if change[0] == "import":
            words = words[:3]  # into a gallery that is there, whose model is not installed
        process = subprocess.Popen(
            self.command.arguments(*words, "-g", self.path), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=environment(self.command.home),
        )  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.draw.uniform(0.1, 1.2))
        process.kill()
        _, errors = process.communicate()
        if process.returncode == 0:
            self._acknowledged(change)
        else:
            assert (process.returncode, errors) == (-signal.SIGKILL, b""), (words, errors)
        self._look(None if process.returncode == 0 else change)

    def migration(self) -> None:
        """Kill the first program of this version that opens an older gallery."""
        old = self.folder.parent / "old"
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir()
        old_gallery(old / "g")
        self._forked(lambda tell: GalleryFile.open(old / "g"), self.draw.uniform(0, 0.03))
        store = GalleryFile.open(old / "g")
        assert ([s.name for s in store.reader.subjects()], store.reader.check()) == (["Ada"], [])
        store.close()
        assert sorted(p.name for p in old.iterdir()) == ["g"]

    def re_embedding(self) -> None:
        """Kill a gallery's move to another embedder, then end it."""
        folder = self._photos()
        path = folder / "here" / "g"
        before = shas(path)
        os.environ["FACECLI_HOME"] = str(self.command.home)

        def move(tell: Callable[[str], None]) -> None:
            with Gallery.open(path) as gallery:
                gallery.re_embed("grid", workers=1, progress=lambda: tell("step"))

        self._forked(move, self.draw.uniform(0.05, 0.7))
        assert shas(path) == before
        store = GalleryFile.open(path)
        moved = store.reader.embedder_id.startswith("grid:")
        store.close()
        assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]
        if not moved:
            with Gallery.open(path) as gallery:
                assert gallery.re_embed("grid").references == len(before)
        assert shas(path) == before

    def enrolment(self) -> None:
        """Kill `facecli enroll` among real photos, then end it."""
        folder = self._photos()
        path = folder / "here" / "h"
        words = self.command.arguments("enroll", folder / "p", "-g", path, "--workers", "1")
        process = subprocess.Popen(words, env=environment(self.command.home),
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.draw.uniform(0.3, 1.2))
        process.kill()
        process.wait()
        if path.exists():
            assert len(shas(path)) <= 6
        assert self.command("enroll", folder / "p", "-g", path).returncode == 0
        assert len(shas(path)) == 6
        assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]

    # helpers

    def _photos(self) -> Path:
        """A folder with six photos, their gallery, and a second model; made once."""
        folder = self.folder.parent / "photos"
        if not folder.exists():
            write_variants(folder / "p" / "Grace", hopper(), 4, width=160)
            write_variants(folder / "p" / "Eileen", collins(), 2, width=200)
            assert self.command("enroll", folder / "p", "-g", folder / "g").returncode == 0
            (folder / "grid.onnx").write_bytes(network())
            added = self.command("models", "add", folder / "grid.onnx", *MODEL)
            assert added.returncode == 0, added.stderr
        shutil.rmtree(folder / "here", ignore_errors=True)
        (folder / "here").mkdir()
        shutil.copy(folder / "g", folder / "here" / "g")
        return folder

    def _next(self) -> Change:
        self.number += 1
        return self.model.next(self.draw, self.number)

    def _change_for_ever(self, tell: Callable[[str], None]) -> None:
        store = GalleryFile.open(self.path)
        while True:
            change = self._next()
            tell("\t".join(change))
            do(store, change)
            tell("done")
            self.model.apply(change)
            self.number += 1  # as the reader of both lines counts

    def _forked(self, work: Callable[[Callable[[str], None]], object], seconds: float) -> list[str]:
        """Run it in a process that is killed so long after it started; what it told."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work(lambda line: _write(writing, line))
                os._exit(0)
            except BaseException as error:
                _write(2, repr(error))
                os._exit(1)
        os.close(writing)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        with os.fdopen(reading) as file:
            return file.read().splitlines()

    def _acknowledged(self, change: Change) -> None:
        self.model.apply(change)
        if change[0] == "backup":
            assert matches(self.folder / f"backup-{change[1]}", self.model)

    def _look(self, pending: Change | None) -> None:
        """The gallery is sound, and is what the model is, perhaps after the pending change."""
        store = GalleryFile.open(self.path)
        left = {p.name for p in self.folder.iterdir() if p.name.startswith(".")}
        assert not left, left
        faults = store.reader.check()
        after = copy.deepcopy(self.model)
        if pending is not None:
            after.apply(pending)
        if any(UNFINISHED in fault for fault in faults):
            assert pending is not None and pending[0] == "purge" and len(faults) == 1, faults
            store.erase(Group.REMOVED)
        assert [*store.reader.check(), *ranker.faults(store.reader)] == []
        if not matches(self.path, self.model, store):
            assert matches(self.path, after, store), (pending, after)
            self.model = after
        agrees(store)
        store.close()
        for name in ("backup-*", "export-*"):
            for file in self.folder.glob(name):
                whole = name == "export-*" or matches(file, None)
                assert whole, file
                file.unlink()


def _write(handle: int, line: str) -> None:
    os.write(handle, (line + "\n").encode())


def matches(path: Path, model: Model | None, opened: GalleryFile | None = None) -> bool:
    """Whether the gallery is sound and, template for template, what the model says."""
    store = opened or GalleryFile.open(path)
    try:
        people: dict[str, set[int]] = {}
        for row in store.reader.references():
            number = int(row.photo_sha256, 16)
            people.setdefault(row.subject, set()).add(number)
            assert np.array_equal(row.template.vector, unit_vector(number)), row
        if model is None:
            return store.reader.check() == []
        choice = store.reader.calibration()
        return (people, len(store.journal.changes()), choice and choice.threshold) == (
            {name: set(numbers) for name, numbers in model.people.items()},
            len(model.journal),
            model.threshold,
        )
    finally:
        if opened is None:
            store.close()


def agrees(store: GalleryFile) -> None:
    """Who is enrolled is found through the sidecar, and nobody else."""
    if not (subjects := store.reader.templates()).ids:
        return
    for exact in (False, True):
        ranker = FileRanker.open(store.reader, exact)
        with store.reader.snapshot():
            for row in (0, len(subjects.ids) // 2, -1):
                best = ranker.best(subjects.templates[row], len(subjects.ids) + 1)
                assert subjects.ids[row] in {r.id for r in best if r.score > 1 - 1e-5}
                assert {r.id for r in best} <= set(subjects.ids)


def shas(path: Path) -> list[str]:
    """The photos of a sound gallery."""
    store = GalleryFile.open(path)
    try:
        assert store.reader.check() == []
        return sorted(row.photo_sha256 for row in store.reader.references())
    finally:
        store.close()


def attack(folder: Path, kills: int, seed: int) -> SimpleNamespace:
    """So many kills; what was tried and survived, by kind. A failure is told on stderr."""
    assault = Attack(folder, seed)
    kinds = [assault.writer] * 14 + [assault.migration] * 2
    kinds += [assault.shell] * 2 + [assault.re_embedding, assault.enrolment]
    tried, survived = Counter[str](), Counter[str]()
    for number in range(kills):
        kind = kinds[(number * 7) % len(kinds)]
        tried[kind.__name__] += 1
        try:
            kind()
        except Exception as error:
            print(f"kill {number} ({kind.__name__}): {error!r}", file=sys.stderr)
            raise
        survived[kind.__name__] += 1
    return SimpleNamespace(tried=tried, survived=survived)


if __name__ == "__main__":
    found = attack(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    for what in found.tried:
        print(what, found.survived[what], found.tried[what])
