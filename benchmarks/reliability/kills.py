"""Whoever changes a gallery is killed, at random moments: see tests/support/killing.py."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from support.galleries import environment
from support.places import TESTS

SCRIPT = TESTS / "support" / "killing.py"
KILLS = int(os.environ.get("KILLS", "300"))
SEED = 0


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, SCRIPT, Path(folder) / "k", str(KILLS), str(SEED)],
            env=environment(Path(folder) / "home"), capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    kinds = [line.split() for line in done.stdout.splitlines()]
    survived, tried = (sum(int(row[i]) for row in kinds) for i in (1, 2))
    each = ", ".join(f"{kind.replace('_', '-')} {count}" for kind, _, count in kinds)
    return [("kills survived / tried", f"{survived} / {tried} ({each})")]
