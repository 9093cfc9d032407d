"""Writers and readers of one gallery at once: see tests/support/company.py."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from support import company

WRITERS, READERS = 4, 6
SECONDS = float(os.environ.get("TOGETHER_SECONDS", "60"))


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is."""
    with tempfile.TemporaryDirectory() as folder:
        operations = company.gather(Path(folder), WRITERS, READERS, SECONDS)
    return [
        (
            "writers x readers x operations without an error",
            f"{WRITERS} x {READERS} x {operations:,}",
        )
    ]
