"""Galleries made to do harm, given to commands: see tests/support/hostile_galleries.py."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from support import hostile_galleries

HOSTILE_GALLERIES = int(os.environ.get("HOSTILE_GALLERIES", "10000"))


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is."""
    with tempfile.TemporaryDirectory() as folder:
        done = hostile_galleries.attack(Path(folder), range(HOSTILE_GALLERIES))
    for line in (*done.crashed, *done.hung):
        print(line, file=sys.stderr)
    return [
        (
            "hostile galleries tried / crashed / hung",
            f"{done.count:,} / {len(done.crashed)} / {len(done.hung)} "
            f"(refused by a command: {done.refused:,})",
        )
    ]


if __name__ == "__main__":
    for row in rows():
        print(*row, sep="\t")
