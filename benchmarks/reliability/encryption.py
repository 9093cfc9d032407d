"""What encryption at rest costs: enrolling, searching, and a command's start."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import numpy as np
from support import galleries

from benchmarks.scale import synthetic
from facecli.common.types import Float32
from facecli.storage.keys import Key
from facecli.storage.maintenance import encryption
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite.store import GalleryFile

KEY = Key("0123456789abcdef" * 4)
SIZE, DIMENSION = 10_000, 192
PHOTOS = 60
GROUP = 32  # references that enrolling commits at once
ROUNDS = 5


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is: encrypted, in the clear, and their ratio."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        plain, sealed = folder / "plain", folder / "sealed"
        synthetic.gallery(plain, SIZE, DIMENSION)
        sealed.write_bytes(plain.read_bytes())
        start = time.perf_counter()
        encryption.convert(sealed, None, KEY)
        converting = time.perf_counter() - start
        probe = synthetic.people(1, DIMENSION, 10**6)[0]
        return [
            ("photos enrolled a second, encrypted / in the clear", _commands(folder)),
            ("references written a second", _pair(lambda key: _writes(folder, key), "{:,.0f}")),
            (
                f"opening, reading and first search of {SIZE:,} references, ms",
                _pair(lambda key: _search(sealed if key else plain, key, probe), "{:.1f}"),
            ),
            (f"encrypting a gallery of {SIZE:,} references, s", f"{converting:.1f}"),
        ]


def _pair(measure: Callable[[Key | None], float], form: str) -> str:
    """Both, measured turn by turn, so that a busy machine is unfair to neither."""
    runs = [(measure(KEY), measure(None)) for _ in range(ROUNDS)]
    sealed, plain = (median(values) for values in zip(*runs, strict=True))
    ratio = median(a / b for a, b in runs)
    return f"{form.format(sealed)} / {form.format(plain)}, {ratio:.2f} x"


def _commands(folder: Path) -> str:
    """`facecli enroll` of photos, from the start of the process to its end."""
    command, photos = galleries.Command(folder / "home"), folder / "photos"
    galleries.write_variants(photos / "Grace", galleries.hopper(), PHOTOS)
    assert command("gallery", "key", folder / "key").returncode == 0
    number = iter(range(100))

    def enrol(key: Key | None) -> float:
        given = ("--key-file", folder / "key") if key else ()
        gallery = folder / f"enrolled-{next(number)}"
        start = time.perf_counter()
        done = command("enroll", photos, "-g", gallery, *given, "-q")
        assert done.returncode == 0, done.stderr
        return PHOTOS / (time.perf_counter() - start)

    return _pair(enrol, "{:.1f}")


def _writes(folder: Path, key: Key | None) -> float:
    """References a second into a new gallery, in groups as `enroll` commits them."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path, count = Path(made) / "g", 20 * GROUP
        faces = [galleries.reference(f"P{i}", i) for i in range(count)]
        with closing(GalleryFile.create(path, galleries.EMBEDDER, DIMENSION, key)) as store:
            start = time.perf_counter()
            for first in range(0, count, GROUP):
                store.add(faces[first : first + GROUP])
            return count / (time.perf_counter() - start)


def _search(path: Path, key: Key | None, probe: Float32) -> float:
    """Milliseconds from the file to candidates; the file is in the system's cache."""
    start = time.perf_counter()
    with closing(GalleryFile.open(path, key)) as store:
        ranking = FileRanker.open(store.reader)
        with store.reader.snapshot():
            best = ranking.best(probe, 5)
    assert np.isfinite(best[0].score)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    for row in rows():
        print(*row, sep="\t")
