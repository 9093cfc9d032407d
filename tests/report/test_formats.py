"""Results as text: what programs parse and what people read."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from wcwidth import wcswidth

from facecli.common.decision import decide
from facecli.common.enums import Basis, Outcome, Reason, Target
from facecli.common.types import Candidate, Decision, Face, FailureToAcquire, OperatingPoint, Probe
from facecli.report import decisions, formats, threshold
from facecli.report.formats import rate, short_path, table

NAN = float("nan")
POINT = OperatingPoint(
    threshold=0.4, basis=Basis.REFERENCE_TABLE, target=Target.FPIR, target_rate=0.01,
    expected_fpir=0.01, expected_fpir_10n=0.1, fmr=0.01, n=1, embedder_id="m:1:p", made_from="LFW",
)  # fmt: skip
FACE = Face((1.04, 2, 30, 40.26), np.zeros((5, 2), np.float32), 0.91234567, 0.5)
FIELDS = (
    "path", "face", "x1", "y1", "x2", "y2", "detection_score", "quality", "decision", "subject",
    "score", "threshold", "margin", "candidates",
)  # fmt: skip


def decision(path: str = "a.jpg", subject: str = "Ada", score: float = 0.7) -> Decision:
    ranked = [Candidate(1, subject, 7, score), Candidate(2, "Bob", 8, 0.1)]
    return decide(Probe(path, 0, FACE), ranked, POINT, POINT.threshold, 1e-9)


def failed(path: str = "b.jpg") -> Decision:
    why = FailureToAcquire(path, Reason.NOT_AN_IMAGE, "not a JPEG")
    return Decision(Probe(path), Outcome.FAILED, (), POINT, failure=why)


def test_a_row_has_the_documented_fields_in_order():
    row = decisions.decision_row(decision())
    assert [field for field in row if field in FIELDS] == list(FIELDS)
    assert {k: row[k] for k in FIELDS[:-1]} == {
        "path": "a.jpg", "face": 0, "x1": 1.0, "y1": 2, "x2": 30, "y2": 40.3,
        "detection_score": 0.9123, "quality": 0.5, "decision": "identified", "subject": "Ada",
        "score": 0.7, "threshold": 0.4, "margin": 0.3,
    }  # fmt: skip
    assert row["schema"] == 1
    assert row["embedder"] == "m:1:p"
    assert row["operating_point"]["target"] == "FPIR"
    assert row["candidates"][0] == {
        "rank": 1, "subject": "Ada", "reference": 7, "score": 0.7, "accepted": True,
    }  # fmt: skip


def test_an_unknown_row_shows_its_best_candidate_but_names_nobody():
    row = decisions.decision_row(decision(score=0.3))
    assert (row["decision"], row["subject"], row["score"]) == ("unknown", None, 0.3)
    assert row["margin"] == pytest.approx(-0.1)
    assert [c["accepted"] for c in row["candidates"]] == [False, False]
    text = decisions.decisions_table([decision(score=0.3)])
    assert "nearest: Ada, below threshold" in text


def test_a_failed_row_has_the_same_fields_and_a_reason():
    row = decisions.decision_row(failed())
    assert list(row) == list(decisions.decision_row(decision()))
    assert row["reason"] == "not an image: not a JPEG"
    assert row["face"] is row["x1"] is row["score"] is row["subject"] is None


def test_json_is_strict_and_keeps_every_script():
    text = formats.as_json({"a": NAN, "b": [math.inf, 1.5], "c": "홍길동"})
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": None, "b": [None, 1.5], "c": "홍길동",
    }  # fmt: skip
    assert "홍길동" in text
    assert "\n" not in formats.as_json_line({"a": "x\ny"})


NAMES = ['O\'Neil, "Tip"', "홍길동", "=1+1", "a\nb", "ends with space ", "", 'quote"']


def test_csv_gives_every_name_back():
    rows = [decisions.decision_row(decision(path=name, subject=name)) for name in NAMES]
    read = list(csv.DictReader(io.StringIO(formats.as_csv(rows), newline="")))
    assert [r["path"] for r in read] == [r["subject"] for r in read] == NAMES
    assert json.loads(read[0]["candidates"])[1]["subject"] == "Bob"
    assert not formats.as_csv(rows, header=False).startswith("schema")


@pytest.mark.parametrize("form", [formats.OutputFormat.CSV, formats.OutputFormat.JSON_LINES])
def test_rows_leave_as_they_come(form: formats.OutputFormat):
    asked = list[int]()
    coming = (asked.append(n) or decision(f"{n}.jpg") for n in range(3))
    texts = decisions.decisions_text(coming, form)
    first = next(texts)
    assert asked == [0]
    rest = [*texts]
    if form is formats.OutputFormat.CSV:
        whole = formats.as_csv(decisions.decision_row(decision(f"{n}.jpg")) for n in range(3))
        assert "\n".join([first, *rest]) == whole
    else:
        assert [json.loads(line)["path"] for line in (first, *rest)] == ["0.jpg", "1.jpg", "2.jpg"]


@pytest.mark.parametrize("form", [formats.OutputFormat.TABLE, formats.OutputFormat.JSON])
def test_a_document_and_a_table_leave_whole(form: formats.OutputFormat):
    found = [decision(), failed()]
    (text,) = decisions.decisions_text(found, form)
    as_json = formats.as_json([decisions.decision_row(d) for d in found])
    assert text == (
        as_json if form is formats.OutputFormat.JSON else decisions.decisions_table(found)
    )


def test_control_characters_are_shown_and_not_obeyed():
    evil = "a\x1b[31m\r\n\t\u202eb\u2028\x9bc\udcff"
    shown = formats.printable(evil)
    assert shown == r"a\x1b[31m\r\n\t\u202eb\u2028\x9bc\udcff"
    text = decisions.decisions_table([decision(path=evil, subject=evil), failed(evil)])
    assert text.isprintable() is False  # line ends
    assert all(line.isprintable() for line in text.split("\n"))


def test_names_of_every_script_stay_as_they_are():
    for name in ("홍길동", "Nguyễn Văn Đức", "می‌خواهم", "👩‍🚀", "Łukasz Ñuñez-O'Brien"):
        assert formats.printable(name) == name


def test_columns_stay_aligned_with_wide_letters():
    names = ["홍길동", "王小明", "Ada Lovelace", "Nguyễn Văn Đức"]
    text = table([[name, "0.5", "x"] for name in names], ["answer", "score", "note"])
    lines = text.split("\n")
    ends = {wcswidth(line[: line.index("0.5")]) for line in lines[2:]}
    assert len(ends) == 1
    assert lines[0].startswith("answer")


@pytest.mark.parametrize(("least", "estimate", "text"), [
    (0.0013, 0.02, "2 %"), (0.0013, 0.0013, "< 0.13 %"), (0.0013, 1e-9, "< 0.13 %"),
    (0.0, 1e-9, "< 0.0001 %"), (1.0, 1.0, "not known"), (0.0013, math.nan, "not known"),
])  # fmt: skip
def test_an_estimate_says_no_less_than_people_can_show(least: float, estimate: float, text: str):
    point = replace(decision().operating_point, least_fpir=least)
    assert formats.estimated(estimate, point) == text


def test_numbers_stand_under_each_other():
    rows = [["a", "5"], ["b", "1000"]]
    lines = table(rows, ["subject", "references"]).split("\n")
    assert len({len(line) for line in lines[2:]}) == 1
    assert table([], ["subject", "references"]).startswith("subject")


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


def test_a_long_path_keeps_its_end():
    path = "/very" * 40 + "/홍길동/photo.jpg"
    short = short_path(path)
    assert short.startswith("…/") and short.endswith("/홍길동/photo.jpg")
    assert wcswidth(short) <= 60
    assert short_path("a/b.jpg") == "a/b.jpg"
    assert short_path("x" * 200) == "x" * 200


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
