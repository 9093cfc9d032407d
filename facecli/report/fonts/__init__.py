"""A line of text in any script -> ink, with fonts that ship in this folder.

HarfBuzz does all three parts: which font has a character, how the characters of a run join,
and the pixels. Pillow's own complex layout needs the system's FriBiDi, which a bare server lacks.

Direction follows Unicode's UAX #9 for plain names: runs, neutrals by rule N1 and N2, no nesting
of a third level, and explicit direction controls are dropped so that no name can disguise itself.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
import uharfbuzz as hb

from facecli.common.types import Image

_FIRST = "NotoSans-Regular.ttf"
_SPACE = 0.35  # em between words; a space is 0.26
_JOINERS = "\u200c\u200d"
_RIGHT_TO_LEFT = {"R", "AL"}
_LEFT_TO_RIGHT = {"L", "EN", "AN"}


@dataclass(frozen=True, slots=True, eq=False)
class _Font:
    font: hb.Font
    characters: hb.Set
    upem: int


@dataclass(frozen=True, slots=True)
class _Glyph:
    """A glyph of `font` with its origin in em, x to the right, y up."""

    font: _Font
    index: int
    x: float
    y: float


def missing(text: str) -> str:
    """The characters of `text` that no shipped font has; they are drawn as U+XXXX."""
    return "".join(c for c in _visible(text) if _font_of(c) is None)


def width(words: Sequence[str], size: int) -> int:
    """The pixels that `ink(words, size)` is wide, up to overhanging letters."""
    return max(1, round(_set(words)[1] * size))


def ink(words: Sequence[str], size: int) -> Image:
    """`words` drawn at `size` px per em: (H, W) uint8, 0 paper to 255 ink.

    The words stand from left to right a space apart, each in its own direction: a score stays
    to the right of an Arabic name. H is at least the height of Latin letters with descenders,
    so that labels line up; tall scripts get what they need.
    """
    glyphs, advance = _set(words)
    pen = hb.RasterDraw()
    for glyph in glyphs:
        scale = size / glyph.font.upem
        pen.transform = (scale, 0.0, 0.0, scale, glyph.x * size, glyph.y * size)
        pen.draw_glyph(glyph.font.font, glyph.index)
    image = pen.render()
    box = image.extents
    drawn = np.frombuffer(image.buffer, np.uint8).reshape(box.height, -1)[:, : box.width]
    bottom = min(box.y_origin, round(-0.22 * size))  # Noto Sans: descender 0.24, capitals 0.71
    top = max(box.y_origin + box.height, round(0.74 * size))
    left = min(box.x_origin, 0)
    right = max(box.x_origin + box.width, round(advance * size), left + 1)
    sheet = np.zeros((top - bottom, right - left), np.uint8)
    y, x = box.y_origin - bottom, box.x_origin - left
    sheet[y : y + box.height, x : x + box.width] = drawn
    return np.ascontiguousarray(sheet[::-1])  # HarfBuzz's rows run upwards


@cache
def _fonts() -> tuple[_Font, ...]:
    """Every shipped font, the Latin one first."""
    folder = Path(__file__).parent
    paths = sorted(folder.glob("*.ttf"), key=lambda path: (path.name != _FIRST, path.name))
    faces = [hb.Face(hb.Blob.from_file_path(path)) for path in paths]
    return tuple(_Font(hb.Font(face), face.unicodes, face.upem) for face in faces)


def _font_of(character: str, before: _Font | None = None) -> _Font | None:
    """The font in use if it has the character, else the first that has it."""
    if before is not None and (character in _JOINERS or ord(character) in before.characters):
        return before
    code = ord(" ") if character in _JOINERS else ord(character)
    return next((font for font in _fonts() if code in font.characters), None)


def _visible(text: str) -> str:
    """Composed, line breaks and tabs as spaces, invisible controls dropped."""
    kept = []
    for c in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(c)
        if kind in ("Cc", "Zl", "Zp", "Zs"):
            kept.append(" ")
        elif c in _JOINERS or (kind != "Cf" and not 0xFE00 <= ord(c) <= 0xFE0F):
            kept.append(c)
    return "".join(kept)


def _set(words: Sequence[str]) -> tuple[list[_Glyph], float]:
    """The glyphs of all words in place, and their width in em."""
    glyphs: list[_Glyph] = []
    x = 0.0
    for word in filter(None, words):
        x += _SPACE if x else 0.0
        shaped, advance = _shape(word)
        glyphs += [replace(glyph, x=glyph.x + x) for glyph in shaped]
        x += advance
    return glyphs, x


def _shape(text: str) -> tuple[list[_Glyph], float]:
    """The glyphs of one word or name in place, and its width in em."""
    line = "".join(c if _font_of(c) else f"U+{ord(c):04X}" for c in _visible(text))
    glyphs: list[_Glyph] = []
    x = 0.0
    for font, run, backwards in _runs(line):
        buffer = hb.Buffer()
        buffer.add_str(run)
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if backwards else "ltr"
        hb.shape(font.font, buffer, {})
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            offset = x + place.x_offset / font.upem
            glyphs.append(_Glyph(font, info.codepoint, offset, place.y_offset / font.upem))
            x += place.x_advance / font.upem
    return glyphs, x


def _runs(line: str) -> list[tuple[_Font, str, bool]]:
    """Stretches of one font and one direction, in the order they stand from left to right."""
    base, directions = _directions(line)
    fonts: list[_Font] = []
    for c in line:
        font = _font_of(c, fonts[-1] if fonts else None)
        assert font is not None  # `_shape` has replaced what no font has
        fonts.append(font)
    stretches: list[list[tuple[_Font, str, bool]]] = []
    for backwards, part in groupby(zip(line, fonts, directions, strict=True), lambda t: t[2]):
        runs = [
            (font, "".join(c for c, _, _ in same), backwards)
            for font, same in groupby(part, lambda t: t[1])
        ]
        stretches.append(runs[::-1] if backwards else runs)
    return [run for stretch in (stretches[::-1] if base else stretches) for run in stretch]


def _directions(line: str) -> tuple[bool, list[bool]]:
    """Whether the line, and each character, runs right to left (UAX #9: P2, N1, N2)."""
    strong = [_strong(c) for c in line]
    first = (_strong(c) for c in line if unicodedata.bidirectional(c) in {"L", *_RIGHT_TO_LEFT})
    base = bool(next(first, False))
    before: list[bool] = []
    after: list[bool] = []
    for known, sides in ((strong, before), (strong[::-1], after)):
        last = base
        for direction in known:
            last = last if direction is None else direction
            sides.append(last)
    after.reverse()
    marks = [unicodedata.bidirectional(c) in ("NSM", "BN") for c in line]
    both = zip(before, after, marks, strict=True)
    return base, [left if mark or left == right else base for left, right, mark in both]


def _strong(character: str) -> bool | None:
    """True for right to left, False for left to right, None for a neutral character."""
    kind = unicodedata.bidirectional(character)
    if kind in _RIGHT_TO_LEFT:
        return True
    return False if kind in _LEFT_TO_RIGHT else None
