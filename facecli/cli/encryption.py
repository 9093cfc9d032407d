"""`facecli gallery key, encrypt, decrypt`: a gallery that nobody reads without its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import GalleryOption, JsonOption, KeyOption, key
from facecli.errors import UsageError

if TYPE_CHECKING:
    from facecli.keys import Key
    from facecli.sealing import Sealed

_NEEDED = "give the key with --key-file FILE; `facecli gallery key FILE` makes one"


def make_key(
    where: Annotated[
        str, typer.Argument(metavar="FILE", help="A new file, 0600; or `keyring`, `keyring:NAME`.")
    ],
) -> None:
    """Make a key, 256 random bits, in a file or in the system's keyring. It is never shown.

    Keep a copy elsewhere: without it nobody can read what is encrypted with it.
    """
    from facecli.keys import make
    from facecli.report import printable

    make(where)
    typer.echo(printable(f"a new key is in {where}; keep a copy of it elsewhere"))


def encrypt(
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    old_key_file: Annotated[
        str | None,
        typer.Option("--old-key-file", metavar="FILE", help="It is encrypted: change this key."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Encrypt the gallery with SQLCipher, and overwrite the file as it was.

    Nobody may be using it. Files in its folder that hold the same people readably are named.
    Needs facecli[encrypted].
    """
    secret, old = key(key_file), key(old_key_file)
    if secret is None:
        raise UsageError(_NEEDED)
    _tell(_convert(gallery, old, secret), True, as_json)


def decrypt(
    gallery: GalleryOption = None, key_file: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Write an encrypted gallery in the clear again. Nobody may be using it."""
    secret = key(key_file)
    if secret is None:
        raise UsageError(_NEEDED)
    _tell(_convert(gallery, secret, None), False, as_json)


COMMANDS = (encrypt, decrypt)


def _convert(gallery: GalleryOption, old: Key | None, new: Key | None) -> Sealed:
    from facecli import engines
    from facecli.gallery import default_path
    from facecli.sealing import convert

    return convert(engines.file(gallery or default_path(), "encryption of its own"), old, new)


def _tell(done: Sealed, encrypted: bool, as_json: bool) -> None:
    from facecli import report
    from facecli.report.sealing import sealed_row, sealed_text

    row = sealed_row(done, encrypted)
    typer.echo(report.as_json(row) if as_json else sealed_text(done, encrypted))
