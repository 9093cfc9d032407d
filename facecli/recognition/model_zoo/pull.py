"""A known model from its publisher: consent, download, sha256, unpack, install.

All of facecli's network code for models. A download goes on where an earlier try stopped, and of
a publisher's zip the recognition network alone is unpacked, in memory: nothing else is written.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.error import HTTPError

from facecli.common.errors import ModelError, UsageError
from facecli.common.places import home, own_folder
from facecli.recognition.model_zoo.add import facts_by_sha256, install, require_consent
from facecli.recognition.model_zoo.registry import (
    find_known,
    read_manifest,
    shipped_embedders,
    verify_files,
)
from facecli.recognition.model_zoo.specs import EmbedderSpec

# Called with the bytes there are and, where the server says so, the bytes there will be.
Progress = Callable[[int, int | None], None]

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 2**18  # bytes
_LARGEST_FILE = 2**31  # bytes, to download
_LARGEST_NETWORK = 2**30  # bytes, out of a zip; the largest known network has 261 MB
_NOTHING_LEFT = 416
_ZIP = b"PK\x03\x04"
_AGAIN = "Run the same command again: it resumes where it can."
_BY_HAND = "You can also fetch the file in another way and use `facecli models add FILE`."


def pull_model(
    name: str,
    accept_licence: bool = False,
    url: str | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> EmbedderSpec:
    """Fetch a known model, or find it shipped, or here and whole, and give its description.

    name: of the model or of its publisher's pack. url: a mirror of the pinned file. sha256: of
    another file at `url` whose content the caller vouches for. An interrupted download resumes.
    Raises ModelError where the name is unknown, FACECLI_OFFLINE is set, the download breaks or
    is not the pinned file, LicenceError where the licence needs consent, UsageError where `url`
    or `sha256` is none.
    """
    if shipped := next((spec for spec in shipped_embedders() if spec.name == name), None):
        return shipped
    known = find_known(name)
    require_consent(known.spec, accept_licence)
    if sha256 is None and (there := _already_there(known.spec)):
        return there
    _require_network()
    pinned = _pinned(sha256 or known.url_sha256)
    part = own_folder(home() / "models") / f".{pinned}.part"
    _download(url or known.url, part, progress)
    _require_sha256(part, pinned, url or known.url)
    try:
        content = _weights(part, known.spec.path.name)
        return install(content, _facts(content, known.spec))
    finally:
        part.unlink()


def _already_there(wanted: EmbedderSpec) -> EmbedderSpec | None:
    """The model as installed by an earlier run, if it is whole."""
    description = home() / "models" / wanted.name / "model.toml"
    if not description.exists():
        return None
    try:
        (spec,) = read_manifest(description)
        verify_files(spec)
    except (ModelError, ValueError):
        return None
    return spec if spec.sha256 == wanted.sha256 else None


def _require_network() -> None:
    if os.environ.get("FACECLI_OFFLINE", "") not in ("", "0"):
        raise ModelError(
            "FACECLI_OFFLINE is set, so nothing is fetched. Unset it, or bring the file here and "
            "use `facecli models add FILE`."
        )


def _pinned(sha256: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", sha256.lower()):
        raise UsageError(f"--sha256 must be 64 hexadecimal digits, not {sha256!r}.")
    return sha256.lower()


def _require_sha256(part: Path, pinned: str, url: str) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != pinned:
        part.unlink()
        raise ModelError(
            f"{url} is not the file that was expected: its sha256 is {found}, not {pinned}. It was "
            "deleted. Run the command again; if that does not help, the publisher's file changed."
        )


def _facts(content: bytes, known: EmbedderSpec) -> EmbedderSpec:
    """The known facts, less what depends on the very weights where these are others."""
    if facts_by_sha256(content) == known:
        return known
    sha256 = hashlib.sha256(content).hexdigest()
    return replace(known, sha256=sha256).of_other_templates()


def _download(url: str, part: Path, progress: Progress | None = None) -> None:
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
            if done > _LARGEST_FILE:
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


def _weights(file: Path, name: str) -> bytes:
    """The network that was fetched: the file itself, or the member `name` where it is a zip."""
    with file.open("rb") as opened:
        is_zip = opened.read(len(_ZIP)) == _ZIP
    return unzipped(file, name) if is_zip else file.read_bytes()


def unzipped(archive: Path, file: str) -> bytes:
    """The content of the one member called `file`, in whatever folder of the zip, in memory.

    Raises ModelError where the zip is damaged, holds an unsafe name anywhere (absolute, `..`, a
    link), holds `file` not exactly once, or would unpack to more than 1 GiB.
    """
    try:
        with zipfile.ZipFile(archive) as pack:
            members = pack.infolist()
            _refuse_unsafe(members)
            found = [member for member in members if PurePosixPath(member.filename).name == file]
            if len(found) != 1:
                raise ModelError(f"The zip holds {len(found)} files called {file} instead of one.")
            return _unpacked(pack, found[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"The zip is damaged or locked ({error}); nothing was used.") from error


def _refuse_unsafe(members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        name = PureWindowsPath(member.filename)  # knows `\\`, drives and `/`
        linked = stat.S_ISLNK(member.external_attr >> 16)
        if name.anchor or ".." in name.parts or linked:
            raise ModelError(
                f"The zip holds the unsafe entry {member.filename!r}, so nothing of it was used. "
                "Fetch it from its publisher."
            )


def _unpacked(pack: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > _LARGEST_NETWORK:
        raise ModelError(f"{member.filename} unpacks to more than 1 GiB, which no model does.")
    # In chunks, zipfile unpacks no more than that size, however much the data would give.
    with pack.open(member) as file:
        return b"".join(iter(lambda: file.read(_CHUNK), b""))
