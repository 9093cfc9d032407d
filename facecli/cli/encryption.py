"""`facecli gallery key, encrypt, decrypt`: a gallery that nobody reads without its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import (
    DryRunOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    given_key,
    print_change,
)
from facecli.cli.paths import Input, Output
from facecli.common.errors import UsageError

if TYPE_CHECKING:
    from facecli.storage.keys import Key
    from facecli.storage.maintenance.encryption import Sealed


def make_key(
    where: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A new file, 0600; or `keyring`, `keyring:NAME`."),
        Output(new=True),
    ],
) -> None:
    """Make a key, 256 random bits, in a file or in the system's keyring. It is never shown.

    Keep a copy elsewhere: without it nobody can read what is encrypted with it.
    """
    from facecli.report.formats import printable
    from facecli.storage.keys import make

    make(where)
    typer.echo(printable(f"a new key is in {where}; keep a copy of it elsewhere"))


def encrypt(
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    old_key_file: Annotated[
        str | None,
        typer.Option("--old-key-file", metavar="FILE", help="It is encrypted: change this key."),
        Input.KEY,
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Encrypt the gallery with SQLCipher, and overwrite the file as it was.

    Nobody may be using it. Files in its folder that hold the same people readably are named.
    Needs facecli[encrypted].
    """
    new, old = _needed(key_file), given_key(old_key_file)
    _tell(_convert(gallery, old, new, dry_run), True, dry_run, as_json)


def decrypt(
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write an encrypted gallery in the clear again. Nobody may be using it."""
    _tell(_convert(gallery, _needed(key_file), None, dry_run), False, dry_run, as_json)


def _needed(key_file: str | None) -> Key:
    """Raises UsageError where no key is given."""
    if (key := given_key(key_file)) is None:
        raise UsageError("give the key with --key-file FILE; `facecli gallery key FILE` makes one")
    return key


def _convert(gallery: GalleryOption, old: Key | None, new: Key | None, dry_run: bool) -> Sealed:
    from facecli.common.places import default_gallery
    from facecli.storage import opening
    from facecli.storage.maintenance.encryption import convert

    path = opening.file_path(gallery or default_gallery(), "encryption of its own")
    return convert(path, old, new, dry_run=dry_run)


def _tell(result: Sealed, encrypted: bool, dry_run: bool, as_json: bool) -> None:
    from facecli.report.maintenance import sealed_row, sealed_text

    verb = "encrypt" if encrypted else "decrypt"
    text = f"would {verb} {result.references} references" if dry_run else None
    print_change(
        sealed_row(result, encrypted), text or sealed_text(result, encrypted), dry_run, as_json
    )
