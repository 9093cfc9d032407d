"""Where facecli keeps things on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from facecli.common import files
from facecli.common.errors import ModelError


def home() -> Path:
    """The user's facecli folder: FACECLI_HOME, or the platform's data folder. May not exist."""
    chosen = os.environ.get("FACECLI_HOME")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_data_path("facecli", appauthor=False)


def cache_home() -> Path:
    """Where facecli keeps what it can make again: `home()/cache` where FACECLI_HOME is set,
    else the platform's cache folder. May not exist.
    """
    if os.environ.get("FACECLI_HOME"):
        return home() / "cache"
    return platformdirs.user_cache_path("facecli", appauthor=False)


def own_folder(path: Path) -> Path:
    """Make `path` and what is missing above it, for this user only (0700), and give it back.

    Raises ModelError where it cannot be made.
    """
    try:
        return files.private_folder(path)
    except OSError as error:
        cure = "Set FACECLI_HOME to a folder you may write to."
        raise ModelError(f"{path}: {error.strerror}. {cure}") from error
