"""What the gallery's tests share: made-up references, real portraits, and the real command."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from support.patience import LAST_RESORT
from support.places import ROOT, TESTS

from facecli.common.types import Face, FaceTemplate, Template
from facecli.storage.records import NewReference
from facecli.storage.sqlite import connection
from facecli.storage.sqlite.store import GalleryFile

DIMENSION = 192
EMBEDDER = "made-up:0123456789abcdef:p1-00000000"


def unit_vector(seed: int, dimension: int = DIMENSION) -> np.ndarray:
    """(dimension,) float32 of unit norm."""
    vector = np.random.default_rng(seed).normal(size=dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def reference(subject: str, seed: int, photo: int | None = None) -> NewReference:
    """A face of `subject` with the template `unit_vector(seed)`, in photo number `photo`."""
    points = np.arange(10, dtype=np.float32).reshape(5, 2) + seed
    face = Face((1.5, 2.0, 30.25, 40.0), points, 0.9, 0.8)
    found = FaceTemplate(face, Template(unit_vector(seed), EMBEDDER))
    photo = seed if photo is None else photo
    return NewReference(subject, found, f"{photo:064x}", 0, f"photos/{subject}/{photo}.jpg")


def new_store(path: Path) -> GalleryFile:
    """An empty gallery of the made-up embedder."""
    return GalleryFile.create(path, EMBEDDER, DIMENSION)


def old_gallery(path: Path) -> None:
    """A gallery as schema 1 left it, with one reference."""
    from sqlite_utils import Database  # not for those who look at what is imported

    from facecli.storage.sqlite.schema import migrations

    db = sqlite3.connect(path, isolation_level=None)
    migrations().apply(Database(db), stop_before="m002_calibration")
    face, vector = reference("Ada", 1).found.face, unit_vector(1).tobytes()
    db.execute("INSERT INTO gallery VALUES (1, ?, ?, '2026-01-01')", (EMBEDDER, DIMENSION))
    db.execute("INSERT INTO subject VALUES (1, 'Ada', 'Ada', ?, '2026-01-01')", (vector,))
    db.execute(
        "INSERT INTO reference VALUES (1, 1, ?, 1, 2, 3, 4, ?, 0.9, 0.8, ?, 0, 'a.jpg', '2026')",
        (vector, face.landmarks.tobytes(), "0" * 64),
    )
    db.execute(f"PRAGMA application_id = {connection.APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


def draft_left_by_a_kill(target: Path, name: str, content: bytes) -> Path:
    """The folder of a draft for `target`, whose writer was killed when a file of it held this."""
    code = (
        "import os, sys; from pathlib import Path; from facecli.common import atomic\n"
        "with atomic.draft(Path(sys.argv[1])) as draft:\n"
        "    draft.with_name(sys.argv[2]).write_bytes(bytes.fromhex(sys.argv[3])); os._exit(9)"
    )
    before = set(target.parent.iterdir())
    words = [sys.executable, "-c", code, str(target), name, content.hex()]
    subprocess.run(words, env=environment(target.parent), check=False)
    (folder,) = set(target.parent.iterdir()) - before
    return folder


def portrait(package: str, file: str) -> Path:
    """A public-domain portrait that ships in a package; the package is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"NOT CHECKED: {package} is missing, pip install 'facecli[demo]'")
    return Path(spec.origin).parent / file


def hopper() -> Path:
    """Grace Hopper."""
    return portrait("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")


def collins() -> Path:
    """Eileen Collins."""
    return portrait("skimage", "data/astronaut.png")


def variant(photo: Path, number: int, width: int = 256) -> bytes:
    """Another shot of a portrait, a JPEG: turned, brighter or darker; each number is its own."""
    with Image.open(photo) as picture:
        small = picture.convert("RGB").resize((width, width * picture.height // picture.width))
    turned = small.rotate((number * 7) % 21 - 10, resample=Image.Resampling.BILINEAR)
    out = io.BytesIO()
    ImageEnhance.Brightness(turned).enhance(0.7 + (number % 13) * 0.05).save(
        out, "JPEG", quality=60 + number % 36
    )
    # Padding after the end marker, as phones leave there, makes the bytes its own as well.
    return out.getvalue() + number.to_bytes(4, "big")


def write_variants(folder: Path, photo: Path, count: int, first: int = 0, width: int = 256) -> None:
    """`count` variants of a portrait as files of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        (folder / f"{number:03}.jpg").write_bytes(variant(photo, number, width))


def two_faces(path: Path) -> Path:
    """A photo that shows both portraits, side by side."""
    with Image.open(hopper()) as left, Image.open(collins()) as right:
        sheet = Image.new("RGB", (800, 480), "grey")
        sheet.paste(left.convert("RGB").resize((400, 469)), (0, 0))
        sheet.paste(right.convert("RGB").resize((400, 400)), (400, 40))
    sheet.save(path)
    return path


def blank(path: Path) -> Path:
    """A sound photo that shows nobody."""
    Image.new("RGB", (200, 160), (90, 120, 150)).save(path)
    return path


def environment(home: Path, **more: str) -> dict[str, str]:
    """The process's own without facecli's variables, with FACECLI_HOME at `home`."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("FACECLI_")}
    here = [str(ROOT), str(TESTS)]
    paths = os.pathsep.join(filter(None, [*here, mine.get("PYTHONPATH", "")]))
    return {**mine, "PYTHONPATH": paths, "FACECLI_HOME": str(home), **more}


class Command:
    """Runs `python -m facecli` in its own process and its own home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def arguments(self, *arguments: str | Path | bytes) -> list[str | Path | bytes]:
        """The command line as a list."""
        return [sys.executable, "-m", "facecli", *arguments]

    def __call__(
        self,
        *arguments: str | Path | bytes,
        stdin: bytes | None = b"",
        cwd: Path | None = None,
        umask: int = -1,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end. Whatever is asked of it, it never shows a traceback."""
        done = subprocess.run(
            self.arguments(*arguments),
            input=stdin,
            capture_output=True,
            cwd=cwd,
            umask=umask,
            timeout=LAST_RESORT,
            env=environment(self.home, **variables),
        )
        result = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        )
        assert "Traceback" not in result.stdout + result.stderr, result.stderr
        return result
