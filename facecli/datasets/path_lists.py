"""Lists of paths, one a line or each before a NUL, as editors, `find` and scripts write them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from facecli.datasets.csv_tables import text_encoding

CHUNK = 1 << 16  # bytes


def listed(stream: BinaryIO) -> Iterator[Path]:
    """The paths in a stream, one at a time, while it is still being written; blank ones are none.

    Lines of any end in UTF-8, or in whatever bytes the file system has, or in UTF-16 or UTF-32; a
    BOM is skipped. Where the beginning holds a NUL, as `find -print0` writes it, NULs part the
    paths. Blanks and quotes around a path, as Windows copies one, and its strokes are its own only
    where a file is called so.
    """
    stream = (
        stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream))
    )
    head = stream.peek(1)
    encoding = text_encoding(head[:1024])
    if encoding != "utf-8-sig":
        with io.TextIOWrapper(stream, encoding, errors="surrogatepass") as text:
            yield from (_meant(name) for line in text if (name := line.rstrip("\r\n")))
        return
    if head.startswith(b"\xef\xbb\xbf"):
        stream.read(3)
    names = _parted(stream) if b"\0" in head else (line.rstrip(b"\r\n") for line in stream)
    yield from (_meant(os.fsdecode(name)) for name in names if name)


def _meant(name: str) -> Path:
    """The path as it is written, or as it is meant where only that is there."""
    bare = name.strip().strip('"')
    for spelled in () if os.path.lexists(name) else (bare, bare.replace("\\", "/")):
        if os.path.lexists(spelled):
            return Path(spelled)
    return Path(name)


def _parted(stream: io.BufferedReader) -> Iterator[bytes]:
    """What stands before each NUL, and after the last."""
    rest = b""
    while chunk := stream.read1(CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    yield rest
