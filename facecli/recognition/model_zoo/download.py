"""A file from a URL, resumed where an earlier try stopped. All of facecli's network code."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError

from facecli.common.errors import ModelError, UsageError

# Called with the bytes there are and, where the server says so, the bytes there will be.
Progress = Callable[[int, int | None], None]

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 2**18  # bytes
_LARGEST = 2**31  # bytes
_NOTHING_LEFT = 416


def fetch(url: str, part: Path, progress: Progress | None = None) -> None:
    """Fetch `url` into `part`, keeping what `part` already holds where the server can resume.

    The content is not checked: compare its sha256. Raises UsageError for a URL that is not http
    or https, ModelError where the server refuses or the connection breaks; `part` keeps what came.
    """
    if not url.lower().startswith(("https://", "http://")):
        raise UsageError(f"{url}: give a URL that starts with https:// or http://.")
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "facecli", "Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={have}-"} if have else {}
    try:
        part.touch(mode=0o600)
        request = urllib.request.Request(url, headers=headers)
        with _opener().open(request, timeout=_TIMEOUT) as answer:
            _receive(answer, part, have, progress)
    except HTTPError as error:
        # `part` is complete, or not a part of this at all: the sha256 will tell.
        if error.code != _NOTHING_LEFT or not have:
            why = f"the server says {error.code} {error.reason}"
            raise ModelError(f"{url}: {why}. {_BY_HAND}") from error
    except (OSError, ValueError, HTTPException) as error:
        raise ModelError(f"{url} could not be fetched ({error}). {_AGAIN} {_BY_HAND}") from error


def _receive(answer: HTTPResponse, part: Path, have: int, progress: Progress | None) -> None:
    resumed = answer.status == 206
    if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        part.unlink()  # so that the next try does not ask for a part
        raise ModelError(f"{answer.url}: the server sent another part than was asked. {_AGAIN}")
    done = have if resumed else 0
    length = answer.headers.get("Content-Length")
    total = done + int(length) if length else None
    with part.open("ab" if resumed else "wb") as file:
        while chunk := answer.read(_CHUNK):
            done += file.write(chunk)
            if done > _LARGEST:
                raise ModelError(f"{answer.url} is larger than 2 GiB, which no model is.")
            if progress:
                progress(done, total)
    if total is not None and done < total:
        raise ModelError(f"{answer.url} broke off after {done} of {total} bytes. {_AGAIN}")


def _opener() -> urllib.request.OpenerDirector:
    """Without urllib's handlers for file:, ftp: and data:, which a redirect could name."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


_AGAIN = "Run the same command again: it resumes where it can."
_BY_HAND = "You can also fetch the file in another way and use `facecli models add FILE`."
