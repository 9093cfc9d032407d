"""Folders that may not be written to, for root as well."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.galleries import Command

UNPRIVILEGED = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
NEEDS_READ_ONLY = pytest.mark.skipif(
    os.name == "nt" or (os.geteuid() == 0 and not shutil.which("setpriv")),
    reason="NOT CHECKED: needs a folder that may not be written to, or setpriv for root",
)


class Unprivileged(Command):
    """The command, without root's right to write everywhere."""

    def arguments(self, *arguments: str | Path | bytes) -> list[str | Path | bytes]:
        root = os.geteuid() == 0
        return [*(UNPRIVILEGED if root else []), *super().arguments(*arguments)]


def closed(folder: Path) -> None:
    """What lies in the folder, and the folder, may only be read."""
    for file in folder.iterdir():
        file.chmod(0o400)
    folder.chmod(0o500)
