"""The key of an encrypted gallery: 256 random bits, in a file or in the system's keyring.

A key is never an argument of a command, where other users could read it, and never a password:
passwords can be guessed.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.common.files import followed, regular

KEYRING = "keyring"
_SERVICE = "facecli"
_LARGEST = 4096  # bytes of a key file
_MAKE = "`facecli gallery key`"


@dataclass(frozen=True, slots=True)
class Key:
    """digits: 64 hexadecimal ones. It does not show them when it is printed."""

    digits: str = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-fA-F]{64}", self.digits):
            raise GalleryError(f"a key has 64 hexadecimal digits: make one with {_MAKE}")


def read_key(source: str) -> Key:
    """The key in the file `source`, or in the system's keyring for `keyring` or `keyring:NAME`.

    Raises GalleryError where there is none, or where others than the file's owner may read it.
    """
    text = _from_file(Path(source)) if (name := _name(source)) is None else _from_keyring(name)
    try:
        return Key(text.strip())
    except GalleryError as error:
        raise GalleryError(f"{source} holds no key: {error}") from None


def make(source: str) -> Key:
    """Put a new key where `read_key` finds it; a file is new, and 0600.

    Raises GalleryError where there is a key, or a file, already, and where it cannot be read back.
    """
    key = Key(secrets.token_hex(32))
    name = _name(source)
    if name is None:
        _to_file(key, Path(source))
    else:
        _to_keyring(key, name)
    if read_key(source) != key:
        raise GalleryError(f"{source} does not give back the key that was put there: use another")
    return key


def _name(source: str) -> str | None:
    """What the keyring calls it; None for a file."""
    kind, _, name = source.partition(":")
    return (name or "gallery") if kind == KEYRING else None


def _from_file(path: Path) -> str:
    """Read from the disk, not from what the system holds in memory for it.

    A key that somebody copied a moment ago may not be there yet, and what is encrypted with it is
    lost if it never gets there.
    """
    try:
        with regular(path, _LARGEST).open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            atomic.sync(path)
            atomic.sync(followed(path).parent)
            if sys.platform == "linux":
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            text = file.read(_LARGEST).decode("ascii", "replace")
    except OSError as error:
        raise GalleryError(f"the key file {path}: {error.strerror}") from error
    if sys.platform != "win32" and mode & 0o077:
        raise GalleryError(f"others may read the key file {path}: chmod 600 '{path}'")
    return text


def _to_file(key: Key, path: Path) -> None:
    try:
        atomic.sweep(path.parent)
        atomic.write(path, f"{key.digits}\n".encode(), replace=False)
    except FileExistsError:
        raise GalleryError(f"{path} is there already, and no key is overwritten") from None
    except OSError as error:
        raise GalleryError(f"{path} cannot be written: {error.strerror}") from error


def _from_keyring(name: str) -> str:
    keyring = _keyring()
    try:
        text = keyring.get_password(_SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise _no_keyring(error) from error
    if text is None:
        raise GalleryError(f"the keyring has no key '{name}' of facecli: make one with {_MAKE}")
    return str(text)


def _to_keyring(key: Key, name: str) -> None:
    keyring = _keyring()
    try:
        if keyring.get_password(_SERVICE, name) is not None:
            raise GalleryError(f"the keyring has a key '{name}' already, and none is overwritten")
        keyring.set_password(_SERVICE, name, key.digits)
    except keyring.errors.KeyringError as error:
        raise _no_keyring(error) from error


def _keyring() -> ModuleType:
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise GalleryError(
            "the system's keyring needs the package keyring: pip install 'facecli[encrypted]'"
        ) from error
    return keyring


def _no_keyring(error: Exception) -> GalleryError:
    said = str(error).splitlines() or [type(error).__name__]
    return GalleryError(f"the system's keyring: {said[0]} Use a key file instead.")
