"""A known model from its publisher: consent, download, sha256, unpack, install."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

from facecli.common.errors import ModelError, UsageError
from facecli.common.places import home, own_folder
from facecli.recognition.model_zoo.add import facts_by_sha256, install, require_consent
from facecli.recognition.model_zoo.download import Progress, fetch
from facecli.recognition.model_zoo.registry import EmbedderSpec, described, find_known, verify
from facecli.recognition.model_zoo.unpack import is_zip, take


def pull(
    name: str,
    accept_licence: bool = False,
    url: str | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> EmbedderSpec:
    """Fetch a known model, or find it already here and whole, and give its description.

    name: of the model or of its publisher's pack. url: a mirror of the pinned file. sha256: of
    another file at `url` whose content the caller vouches for. An interrupted download resumes.
    Raises ModelError where the name is unknown, FACECLI_OFFLINE is set, the download breaks or
    is not the pinned file, LicenceError where the licence needs consent, UsageError where `url`
    or `sha256` is none.
    """
    known = find_known(name)
    require_consent(known.spec, accept_licence)
    if sha256 is None and (there := _already_there(known.spec)):
        return there
    _require_network()
    pinned = _pinned(sha256 or known.url_sha256)
    part = own_folder(home() / "models") / f".{pinned}.part"
    fetch(url or known.url, part, progress)
    _require_sha256(part, pinned, url or known.url)
    try:
        content = take(part, known.spec.path.name) if is_zip(part) else part.read_bytes()
        return install(content, _facts(content, known.spec))
    finally:
        part.unlink()


def _already_there(wanted: EmbedderSpec) -> EmbedderSpec | None:
    """The model as installed by an earlier run, if it is whole."""
    description = home() / "models" / wanted.name / "model.toml"
    if not description.exists():
        return None
    try:
        (spec,) = described(description)
        verify(spec)
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
    return replace(known, sha256=sha256, table=None, centre=None)
