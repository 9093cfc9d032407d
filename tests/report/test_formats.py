"""Results as text: what programs parse and what people read."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from facecli.common.enums import Basis, Target
from facecli.common.types import OperatingPoint
from facecli.report import formats, threshold
from facecli.report.formats import rate

NAN = float("nan")
POINT = OperatingPoint(
    threshold=0.4, basis=Basis.REFERENCE_TABLE, target=Target.FPIR, target_rate=0.01,
    expected_fpir=0.01, expected_fpir_10n=0.1, fmr=0.01, n=1, embedder_id="m:1:p", made_from="LFW",
)  # fmt: skip


def test_json_is_strict_and_keeps_every_script():
    text = formats.as_json({"a": NAN, "b": [math.inf, 1.5], "c": "홍길동"})
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": None, "b": [None, 1.5], "c": "홍길동",
    }  # fmt: skip
    assert "홍길동" in text
    assert "\n" not in formats.as_json_line({"a": "x\ny"})


def test_names_of_every_script_stay_as_they_are():
    for name in ("홍길동", "Nguyễn Văn Đức", "می‌خواهم", "👩‍🚀", "Łukasz Ñuñez-O'Brien"):
        assert formats.printable(name) == name


@pytest.mark.parametrize(("least", "estimate", "text"), [
    (0.0013, 0.02, "2 %"), (0.0013, 0.0013, "< 0.13 %"), (0.0013, 1e-9, "< 0.13 %"),
    (0.0, 1e-9, "< 0.0001 %"), (1.0, 1.0, "not known"), (0.0013, math.nan, "not known"),
])  # fmt: skip
def test_an_estimate_says_no_less_than_people_can_show(least: float, estimate: float, text: str):
    assert formats.estimated(estimate, replace(POINT, least_fpir=least)) == text


@pytest.mark.parametrize(("value", "text"), [
    (0.01, "1 %"), (0.0123, "1.2 %"), (1e-6, "0.0001 %"), (1e-9, "< 0.0001 %"), (0.0, "0 %"),
    (1.0, "100 %"), (0.084, "8.4 %"), (NAN, "not known"), (0.998, "99.8 %"), (0.995, "99.5 %"),
])  # fmt: skip
def test_rates_are_short_and_never_in_powers_of_ten(value: float, text: str):
    assert rate(value) == text


def test_counts_agree_with_their_noun():
    assert formats.counted(1, "subject") == "1 subject"
    assert formats.counted(0, "subject") == "0 subjects"
    assert formats.counted(12345, "reference") == "12,345 references"
    assert "among 1 subject (" in threshold.point_text(POINT)


def test_the_operating_point_reads_in_plain_words():
    text = threshold.point_text(POINT)
    assert text.startswith("threshold 0.4000 (cosine; a candidate at or above it is accepted)")
    for words in ("FPIR 1 % among 1 subject", "reference table", "LFW", "m:1:p"):
        assert words in text
    by_hand = replace(
        POINT, basis=Basis.BY_HAND, target=Target.NONE, target_rate=NAN, expected_fpir=NAN, fmr=NAN
    )
    assert "no target: set by hand" in threshold.point_text(by_hand)
    assert "expected" not in threshold.point_text(by_hand)
    row = threshold.point_row(by_hand)
    assert row["target_rate"] is row["expected_fpir"] is row["fmr"] is None


TEXTS = ['O\'Neil, "Tip"', "홍길동", "a\nb", "ends with space ", "", 'quote"', "-", "Ada -1"]
FORMULAS = ["=1+1", '=HYPERLINK("http://x")', "+1", "-rf", "@SUM(A1)", "\t=1", "\r=1", "＝1"]


def test_csv_gives_every_text_back():
    text = formats.as_csv([{"name": name} for name in TEXTS])
    assert [r["name"] for r in csv.DictReader(io.StringIO(text, newline=""))] == TEXTS
    assert not formats.as_csv([{"name": "x"}], header=False).startswith("name")


@pytest.mark.parametrize("name", FORMULAS, ids=ascii)
def test_csv_has_no_formula_and_numbers_stay_numbers(name: str):
    text = formats.as_csv([{"name": name, "margin": -0.5, "score": 0.25}])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row == {"name": f"'{name}", "margin": "-0.5", "score": "0.25"}
