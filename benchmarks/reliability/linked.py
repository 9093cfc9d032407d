"""Every command through every kind of link to its gallery: see tests/support/links.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from support import links
from support.cuts import InProcess


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is. What made a difference is told on stderr."""
    tried = survived = 0
    for command in links.COMMANDS:
        for kind in links.KINDS:
            tried += 1
            with tempfile.TemporaryDirectory() as folder:
                try:
                    links.attack(Path(folder), kind, command, InProcess(Path(folder) / "home"))
                    survived += 1
                except Exception as error:
                    print(f"{command}, {kind}: {error!r}", file=sys.stderr)
    what = f"{len(links.COMMANDS)} commands x {len(links.KINDS)} kinds of link to a gallery"
    return [(f"{what}, as without / tried", f"{survived} / {tried}")]


if __name__ == "__main__":
    for row in rows():
        print(*row, sep="\t")
