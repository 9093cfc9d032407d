"""Bad photos, tables, galleries, exports and models through the commands; decoding fuzzed."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import corpus, fuzz_images, galleries
from support.networks import network
from support.sandbox import Sandbox

FUZZ_RUNS = int(os.environ.get("FUZZ_RUNS", "200000"))
SEED = 0
GIVEN = ("--channel-order", "RGB", "--mean", "127.5", "--std", "128", "--no-flip", "--name", "x")


@dataclass(slots=True)
class Tally:
    """tried: files given to a command. crashed, hung: commands that ended so."""

    sandbox: Sandbox
    tried: int = 0
    crashed: int = 0
    hung: int = 0

    def run(self, files: int, *arguments: str | Path) -> None:
        """One command on this many bad files."""
        done = self.sandbox(*arguments)
        self.tried += files
        self.hung += done.hung
        self.crashed += done.crashed and not done.hung


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with Sandbox(folder / "home") as sandbox:
            tally = Tally(sandbox)
            kinds = [
                ("photos", _photos(tally, folder)),
                ("tables", _tables(tally, folder)),
                ("galleries and exports", _galleries(tally, folder)),
                ("models", _models(tally, folder)),
            ]
            peak = sandbox.worst
    fuzz_images.loop(FUZZ_RUNS, SEED, lambda line: None)
    tried = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
    return [
        ("bad inputs tried", f"{tally.tried:,} ({tried})"),
        ("bad inputs that crashed a command", f"{tally.crashed:,}"),
        ("bad inputs that hung a command", f"{tally.hung:,}"),
        ("most memory of a process over the corpus", f"{peak / 1e6:.0f} MB"),
        ("fuzzed photos decoded, faults found", f"{FUZZ_RUNS:,}, 0"),
    ]


def _photos(tally: Tally, folder: Path) -> int:
    """The corpus, then a crowd, through enroll and identify."""
    photos = folder / "photos"
    photos.mkdir()
    cases = list(corpus.cases(galleries.hopper(), SEED))
    for case in cases:
        (photos / case.name).write_bytes(case.content)
    (photos / "crowd.png").write_bytes(corpus.crowd(galleries.hopper()))
    tally.run(len(cases) + 1, "enroll", photos, "-s", "Grace", "-g", folder / "g", "--json")
    tally.run(0, "identify", photos, "-g", folder / "g", "--json")
    return len(cases) + 1


def _damaged(content: bytes, count: int) -> Iterator[bytes]:
    """Cut, overwritten, or with bits turned over, each by chance."""
    draw = random.Random(SEED)
    for number in range(count):
        wrong = bytearray(content)
        at = draw.randrange(len(wrong))
        if number % 3 == 0:
            del wrong[at:]
        elif number % 3 == 1:
            wrong[at : at + 100] = draw.randbytes(100)
        else:
            wrong[at] ^= 1 << draw.randrange(8)
        yield bytes(wrong)


def _tables(tally: Tally, folder: Path) -> int:
    pairs, people = folder / "pairs.csv", folder / "people.csv"
    text = "file1,file2,same\n" + "photos/exif-1.jpg,photos/exif-2.jpg,1\n" * 5
    for content in _damaged(text.encode(), 30):
        pairs.write_bytes(content)
        tally.run(1, "threshold", "--calibrate", pairs, "-g", folder / "g", "--dry-run")
    text = "path,subject\n" + "photos/exif-1.jpg,Ada\n" * 5
    for content in _damaged(text.encode("utf-16"), 30):
        people.write_bytes(content)
        tally.run(1, "enroll", people, "-g", folder / "h")
    return 60


def _galleries(tally: Tally, folder: Path) -> int:
    tally.run(0, "gallery", "export", folder / "out", "-g", folder / "g")
    for number, content in enumerate(_damaged((folder / "g").read_bytes(), 60)):
        damaged = folder / f"g{number}"
        damaged.write_bytes(content)
        tally.run(1, "identify", folder / "photos" / "exif-1.jpg", "-g", damaged)
        tally.run(0, "gallery", "check", "-g", damaged)
    for number, content in enumerate(_damaged((folder / "out").read_bytes(), 60)):
        (folder / "in").write_bytes(content)
        tally.run(1, "gallery", "import", folder / "in", "-g", folder / f"i{number}")
    return 120


def _models(tally: Tally, folder: Path) -> int:
    for content in _damaged(network(), 60):
        (folder / "m.onnx").write_bytes(content)
        tally.run(1, "models", "add", folder / "m.onnx", *GIVEN)
    return 60
