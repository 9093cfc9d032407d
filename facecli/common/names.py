"""Subjects' names: what they are compared by, and which cannot be one."""

from __future__ import annotations

import unicodedata

from facecli.common.errors import UsageError


def name_key(name: str) -> str:
    """What a subject's name is compared by: NFC, outer blanks off, inner runs one, case kept."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def name_fault(name: str) -> str | None:
    """What keeps `name` from being a subject's, in a line; None where it will do."""
    kinds = {unicodedata.category(letter) for letter in name}
    if not {kind[0] for kind in kinds} & set("LNPS") or name_key(name) in {".", ".."}:
        return "the name is empty"
    # Bidirectional embeddings and isolates would turn round the text printed after the name.
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    if kinds & {"Cc", "Cs", "Zl", "Zp"} or any(unicodedata.bidirectional(c) in turns for c in name):
        return "the name holds a control character"
    if name_key(name).casefold() == "unknown":
        return "'unknown' is the answer for strangers, so it cannot be a subject's name"
    return None


def require_name(name: str) -> None:
    """Raise UsageError where `name` cannot be a subject's."""
    if fault := name_fault(name):
        raise UsageError(f"{name!r}: {fault}")
