"""annotate.py and fonts: letters that are really drawn, boxes told apart, files written whole."""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import uharfbuzz as hb

from facecli.common.enums import Basis, Outcome, Reason, Target
from facecli.common.errors import InputError, OutputError, UsageError
from facecli.common.types import (
    Candidate,
    Decision,
    Face,
    FailureToAcquire,
    Image,
    OperatingPoint,
    Probe,
    Rival,
)
from facecli.recognition import images
from facecli.report import annotate, fonts

NAMES = {
    "Latin": "Zoë Åström-Łukasiewicz",
    "Vietnamese": "Nguyễn Thị Ánh Dương",
    "Greek": "Ελένη Παπαδοπούλου",
    "Cyrillic": "Владимир Ёлкин Їжакевич",
    "Arabic": "محمد عبد الله",
    "Persian": "پژمان گل‌محمدی",
    "Hebrew": "יצחק פרלמן",
    "Devanagari": "नरेन्द्र क्षत्रिय",
    "Bengali": "রবীন্দ্রনাথ ঠাকুর",
    "Tamil": "தமிழ் பெயர்",
    "Thai": "สมชาย ใจดี ผู้ใหญ่",
    "Khmer": "ស៊ីន ស៊ីសាមុត",
    "Hangul": "김연아 뷁",
    "Chinese": "王小明 張學友",
    "Japanese": "高橋みなみ カナ",
    "Georgian": "ქართული",
    "Armenian": "Հայկ",
    "Ethiopic": "ኃይሌ ገብረሥላሴ",
}
POINT = OperatingPoint(0.35, Basis.BY_HAND, Target.NONE, np.nan, np.nan, np.nan, np.nan, 1, "e", "")
BOX = (80.0, 80.0, 180.0, 200.0)


def decision(
    outcome: Outcome, box: tuple[float, float, float, float] = BOX, name: str = "Grace Hopper"
) -> Decision:
    face = Face(box, np.zeros((5, 2), np.float32), 0.9)
    ranked = (Candidate(1, name, 1, 0.7149),)
    failure = FailureToAcquire("a", Reason.DEGENERATE) if outcome is Outcome.FAILED else None
    subject = name if outcome is Outcome.IDENTIFIED else None
    candidates = () if failure else ranked
    return Decision(Probe("a", 0, face), outcome, candidates, POINT, 0.3, subject, failure=failure)


def times(sheet: Image, drawn: Image) -> int:
    """How often `sheet` stands in `drawn`, to the pixel but for the search's rounding."""
    return int((cv2.matchTemplate(drawn, sheet, cv2.TM_SQDIFF) < 500).sum())


def page(height: int = 300, width: int = 400, level: int = 128) -> Image:
    return np.full((height, width, 3), level, np.uint8)


def changed(before: Image, after: Image) -> tuple[int, int, int, int]:
    """The rectangle (x1, y1, x2, y2) in which two pictures differ."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_every_script_is_covered_and_drawn(name: str) -> None:
    assert fonts.missing(name) == ""
    glyphs, _ = fonts._shape(name)
    assert glyphs and all(glyph.index != 0 for glyph in glyphs)  # glyph 0 is the box
    letters = [c for c in name if unicodedata.category(c).startswith("L")]
    drawn = {fonts.ink([c], 40).tobytes() for c in set(letters)}
    assert len(drawn) == len(set(letters))  # a box would be the same for all of them
    assert all(fonts.ink([c], 40).max() == 255 for c in set(letters))


def test_the_box_glyph_is_never_drawn() -> None:
    assert fonts.missing("王\U00020bb7 \U0001f600") == "\U00020bb7\U0001f600"
    shown = fonts.ink(["王\U00020bb7"], 30)
    assert np.array_equal(shown, fonts.ink(["王U+20BB7"], 30))


def test_all_hangul_syllables_and_common_han_are_there() -> None:
    for first, last in ((0xAC00, 0xD7A3), (0x4E00, 0x9FA5), (0x3041, 0x3094), (0x1EA0, 0x1EF9)):
        assert fonts.missing("".join(map(chr, range(first, last + 1)))) == ""


def test_both_unicode_forms_are_drawn_alike() -> None:
    for name in (NAMES["Vietnamese"], NAMES["Hangul"], NAMES["Latin"]):
        apart = unicodedata.normalize("NFD", name)
        assert apart != name
        assert np.array_equal(fonts.ink([apart], 30), fonts.ink([name], 30))


def test_arabic_letters_join() -> None:
    joined, apart = fonts.ink(["محمد"], 60), fonts.ink(["م\u200cح\u200cم\u200cد"], 60)
    pieces = [cv2.connectedComponents((i > 127).astype(np.uint8))[0] - 1 for i in (joined, apart)]
    assert pieces == [1, 4]


def test_right_to_left_names_keep_their_numbers_and_brackets() -> None:
    def order(name: str) -> list[str]:
        return [run for _, run, _ in fonts._runs(name)]

    assert order("محمد 12") == ["12", "محمد "]
    assert "".join(order("Ali محمد (12) x")) == "Ali محمد (12) x"
    assert order("יצחק (Ali)")[-1] == "יצחק "
    assert fonts._directions("Ali (محمد)") == (False, [False] * 5 + [True] * 4 + [False])


def test_a_score_stays_right_of_any_name() -> None:
    for name in ("محمد 12", "Grace"):
        both, score = fonts.ink([name, "0.71"], 40), fonts.ink(["0.71"], 40)
        ours = score[:, score.any(axis=0)]
        tail = both[:, both.any(axis=0)][-score.shape[0] :, -ours.shape[1] :]
        assert np.abs(tail.astype(int) - ours[-tail.shape[0] :]).mean() < 20


def test_direction_controls_cannot_disguise_a_name() -> None:
    assert np.array_equal(fonts.ink(["Ann\u202ebob\u2066"], 30), fonts.ink(["Annbob"], 30))
    assert np.array_equal(fonts.ink(["Ann\nBob\t"], 30), fonts.ink(["Ann Bob "], 30))


@pytest.mark.parametrize("name", ["", " ", "\u0301", "\u200d", "\udce9", "\x00", "\ue000"])
def test_odd_names_are_drawn_somehow(name: str) -> None:
    picture = page()
    drawn = annotate.annotate(picture, [decision(Outcome.IDENTIFIED, name=name)])
    assert (drawn != picture).any()


def test_fonts_travel_with_their_licences() -> None:
    folder = Path(fonts.__file__).parent
    for font in folder.glob("*.ttf"):
        family = "NotoSans" if font.name.startswith("NotoSans") else font.stem
        assert len((folder / f"LICENSE-{family}.txt").read_text()) > 4000
        assert hb.Face(hb.Blob.from_file_path(font)).glyph_count > 40


def test_the_photo_itself_is_not_touched() -> None:
    picture = page()
    drawn = annotate.annotate(picture, [decision(Outcome.IDENTIFIED)])
    assert (picture == 128).all() and drawn.shape == picture.shape and drawn.dtype == np.uint8
    assert np.array_equal(annotate.annotate(picture, []), picture)


def test_the_label_of_one_of_two_names_both() -> None:
    best = decision(Outcome.POSSIBLE)
    twin = Candidate(2, "Eileen Collins", 3, 0.6)
    both = replace(best, possible=(best.candidates[0], twin), rival=Rival(twin, 0.28))
    assert annotate._words(both) == [("possible: Grace Hopper or Eileen Collins", "0.71")]


def test_the_label_says_name_and_score() -> None:
    size = 12
    for outcome, *lines in (
        (Outcome.IDENTIFIED, ("Grace Hopper", "0.71")),
        (Outcome.POSSIBLE, ("possible: Grace Hopper", "0.71")),
        (Outcome.UNKNOWN, ("unknown", ""), ("nearest Grace Hopper", "0.71")),
        (Outcome.FAILED, ("degenerate landmarks", "")),
    ):
        style = annotate._STYLES[outcome]
        drawn = annotate.annotate(page(), [decision(outcome)])
        for words in lines:
            ink = fonts.ink(words, size)[..., None] / 255.0
            sheet = np.rint(np.array(style.paint) * (1 - ink) + np.array(style.text) * ink)
            assert times(sheet.astype(np.uint8), drawn) == 1, outcome


def test_several_faces_have_their_numbers() -> None:
    left, right = (decision(Outcome.IDENTIFIED, (60 + x, 80, 120 + x, 150)) for x in (0, 160))
    both = [left, replace(right, probe=replace(right.probe, index=1))]
    drawn = annotate.annotate(page(), both)
    for number, one in enumerate(both):
        words = annotate._words(one, f"#{number} ")
        assert words == [(f"#{number} Grace Hopper", "0.71")]
        style = annotate._STYLES[Outcome.IDENTIFIED]
        assert times(annotate._label(words, style, 12, 400), drawn) == 1


def test_outcomes_differ_without_colour() -> None:
    covered, areas = [], []
    shown = (Outcome.IDENTIFIED, Outcome.POSSIBLE, Outcome.UNKNOWN, Outcome.FAILED)
    for outcome in shown:
        drawn = annotate.annotate(page(600, 800), [decision(outcome, (200, 200, 400, 400))])
        bottom = (drawn[390:412, 200:401] == annotate._STYLES[outcome].paint).all(axis=2)
        covered.append(bottom.any(axis=0).mean())
        areas.append(bottom.sum())
    assert covered[0] == 1.0  # solid
    assert 0.95 > covered[1] > covered[2] > covered[3] > 0.1  # long dashes, dashes, dots
    assert areas[0] > 1.1 * areas[1] and areas[1] > areas[2] > 1.2 * areas[3]


def test_label_colours_contrast() -> None:
    def luminance(bgr: tuple[int, int, int]) -> float:  # WCAG 2.1, relative luminance
        c = np.array(bgr[::-1]) / 255
        linear = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for style in annotate._STYLES.values():
        low, high = sorted([luminance(style.paint), luminance(style.text)])
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.1 AA


@pytest.mark.parametrize(
    "box",
    [
        (-50, -50, 20, 20),
        (380, -9, 450, 40),
        (-9, 280, 30, 330),
        (390, 290, 500, 400),
        (0, 0, 400, 300),
    ],
)
def test_labels_stay_whole_at_the_edges(box: tuple[float, float, float, float]) -> None:
    style = annotate._STYLES[Outcome.IDENTIFIED]
    given = decision(Outcome.IDENTIFIED, box)
    sheet = annotate._label(annotate._words(given), style, 12, 400)
    drawn = annotate.annotate(page(), [given])
    assert times(sheet, drawn) == 1


def test_labels_avoid_each_other() -> None:
    crowd = [decision(Outcome.IDENTIFIED, (40 + 25 * i, 100, 90 + 25 * i, 160)) for i in range(4)]
    words = annotate._words(crowd[0], "#0 ")
    sheet = annotate._label(words, annotate._STYLES[Outcome.IDENTIFIED], 12, 400)
    drawn = annotate.annotate(page(), crowd)
    assert times(sheet, drawn) == 4


def test_a_long_name_is_cut_and_its_score_kept() -> None:
    words = annotate._fit("Wolfeschlegelsteinhausenbergerdorff " * 9, "0.71", 12, 200)
    assert words[0].endswith("…") and words[1] == "0.71" and fonts.width(words, 12) <= 200
    assert annotate._fit("Grace", "0.71", 12, 200) == ("Grace", "0.71")


@pytest.mark.parametrize("side", [1, 2, 8, 33, 64])
def test_tiny_pictures(side: int) -> None:
    drawn = annotate.annotate(page(side, side), [decision(Outcome.UNKNOWN, (0, 0, side, side))])
    assert drawn.shape == (side, side, 3) and (drawn != 128).any()


def test_letters_grow_with_the_picture() -> None:
    heights = []
    for scale in (1, 8):
        picture = page(500 * scale, 500 * scale)
        box = tuple(v * scale for v in (100.0, 200.0, 200.0, 300.0))
        drawn = annotate.annotate(picture, [decision(Outcome.IDENTIFIED, box)])  # type: ignore[arg-type]
        heights.append(200 * scale - changed(picture, drawn)[1])
    assert 4 < heights[1] / heights[0] < 8


def test_broken_boxes_and_missing_faces() -> None:
    nan = float("nan")
    drawn = annotate.annotate(page(), [decision(Outcome.UNKNOWN, (nan, nan, float("inf"), nan))])
    assert (drawn != 128).any()
    nobody = Decision(Probe("a"), Outcome.NO_FACE, (), POINT)
    assert (annotate.annotate(page(), [nobody]) == 128).all()


@pytest.mark.parametrize("name", ["사진.png", "a.jpg", "a.JPEG"])
def test_save_is_private_and_whole(tmp_path: Path, name: str) -> None:
    picture = annotate.annotate(page(), [decision(Outcome.UNKNOWN)])
    annotate.save(picture, tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(UsageError, match="is there"):
        annotate.save(picture, tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 or os.name == "nt"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    again = images.decode((tmp_path / name).read_bytes(), name)
    assert isinstance(again, np.ndarray)
    assert np.abs(again.astype(int) - picture).mean() < (3 if "j" in name.lower() else 1e-9)


def test_save_refuses_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gif"):
        annotate.save(page(), tmp_path / "a.gif")
    with pytest.raises(OutputError, match=r"a\.png"):
        annotate.save(page(), tmp_path / "none" / "a.png")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(UsageError, match=r"b\.png"):
        annotate.save(page(), tmp_path / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]
