"""Subjects' names: what they are compared by, and which cannot be one."""

from __future__ import annotations

import re
import unicodedata

from facecli.common.errors import UsageError

_JOINERS = "\u200c\u200d"
_VIRAMA = 9  # its canonical combining class
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
# Default_Ignorable_Code_Point of Unicode 15, less those above.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_INVISIBLE = re.compile("|".join([f"[{_JOINERS}]", _SELECTORS.pattern, _IGNORABLE.pattern]))


def name_key(name: str) -> str:
    """What a subject's name is compared by: NFC, outer blanks off, inner runs one, case kept.

    Letters that nobody sees do not count, those that stand where they may neither: a joiner
    between Persian letters, which one keyboard writes and another does not, a selector of emoji.
    """
    return key_with_unseen(_INVISIBLE.sub("", name))


def key_with_unseen(name: str) -> str:
    """The same with these letters: what galleries of before 0.3 keep."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def name_fault(name: str, *, held: bool = False) -> str | None:
    """What keeps `name` from being a subject's, in a line; None where it will do.

    held: a gallery holds it already, from before invisible letters were looked for.
    """
    kinds = {unicodedata.category(letter) for letter in name}
    if not {kind[0] for kind in kinds} & set("LNPS") or name_key(name) in {".", ".."}:
        return "the name is empty"
    if "Cs" in kinds:
        return f"the name is not UTF-8{_as_latin_1(name)}"
    # Bidirectional embeddings and isolates would turn round the text printed after the name.
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    if kinds & {"Cc", "Zl", "Zp"} or any(unicodedata.bidirectional(c) in turns for c in name):
        return "the name holds a control character"
    if name_key(name).casefold() == "unknown":
        return "'unknown' is the answer for strangers, so it cannot be a subject's name"
    if not held and (unseen := _unseen(name)):
        # Else names that nobody can tell apart would be two people.
        return f"the name holds U+{ord(unseen):04X}, which nobody sees (write it without)"
    return None


def _as_latin_1(name: str) -> str:
    """How bytes that are not UTF-8 read in the commonest encoding from before it."""
    try:
        read = name.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:  # half of a pair, from a table or an export
        return ""
    return f" (perhaps Latin-1 for {read!r}: rename it)"


def _unseen(name: str) -> str | None:
    """The first letter that changes nothing one sees; joiners and selectors may, in their place."""
    for before, letter, after in zip(" " + name, name, name[1:] + " ", strict=False):
        if letter in _JOINERS:
            seen = _joins(before, after)
        elif _SELECTORS.match(letter):
            seen = unicodedata.category(before) in {"So", "Sm", "Sk", "Po", "Nd"}  # emoji
        else:
            seen = not _IGNORABLE.match(letter)
        if not seen:
            return letter
    return None


def _joins(before: str, after: str) -> bool:
    """Whether a joiner changes a shape: between Arabic letters, after an Indic virama, in emoji."""
    sides = unicodedata.bidirectional(before), unicodedata.bidirectional(after)
    in_arabic = sides in {("AL", "AL"), ("NSM", "AL")}
    in_emoji = unicodedata.category(after) == "So" and before not in _JOINERS
    return unicodedata.combining(before) == _VIRAMA or in_arabic or in_emoji


def require_name(name: str) -> None:
    """Raise UsageError where `name` cannot be a subject's."""
    if not isinstance(name, str):
        raise UsageError(f"a subject's name is text, not {type(name).__name__}")
    if fault := name_fault(name):
        raise UsageError(f"{name!r}: {fault}")
