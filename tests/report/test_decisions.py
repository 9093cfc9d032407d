"""The answers of identify: a row a face, for programs, for spreadsheets, and for people."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from wcwidth import wcswidth

from facecli.common.decision import decide
from facecli.common.enums import Basis, Outcome, Reason, Target
from facecli.common.types import (
    Candidate,
    Crowd,
    Decision,
    Face,
    FailureToAcquire,
    OperatingPoint,
    Probe,
    Rival,
)
from facecli.report import decisions, formats
from facecli.report.columns import Terminal

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
        "possible": False,
    }  # fmt: skip


def test_an_unknown_row_shows_its_best_candidate_but_names_nobody():
    row = decisions.decision_row(decision(score=0.3))
    assert (row["decision"], row["subject"], row["score"]) == ("unknown", None, 0.3)
    assert row["margin"] == pytest.approx(-0.1)
    assert [c["accepted"] for c in row["candidates"]] == [False, False]
    text = decisions.decisions_table([decision(score=0.3)])
    assert "nearest: Ada" in text and "false alarm" not in text


def test_a_failed_row_has_the_same_fields_and_a_reason():
    row = decisions.decision_row(failed())
    assert list(row) == list(decisions.decision_row(decision()))
    assert row["reason"] == "not an image: not a JPEG"
    assert row["face"] is row["x1"] is row["score"] is row["subject"] is None


@pytest.mark.parametrize("form", [formats.OutputFormat.CSV, formats.OutputFormat.JSON_LINES])
def test_rows_leave_as_they_come(form: formats.OutputFormat):
    asked = list[int]()
    coming = (asked.append(n) or decision(f"{n}.jpg") for n in range(3))
    texts = decisions.decisions_text(coming, form)
    first = next(texts)
    assert asked == [0]
    rest = [*texts]
    if form is formats.OutputFormat.CSV:
        whole = formats.as_csv(decisions.flat_row(decision(f"{n}.jpg")) for n in range(3))
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


# a middle answer ------------------------------------------------------------------------------

LAX = replace(POINT, threshold=0.25, target_rate=0.1)
RANKED = (Candidate(1, "Ada", 7, 0.39), Candidate(2, "Bob", 8, 0.3), Candidate(3, "Cy", 9, 0.2))


def lead(threshold: float = 0.4) -> Decision:
    return decide(Probe("a.jpg", 0, FACE), RANKED, POINT, threshold, 0.03, None, LAX, 0.25)


def test_a_possible_face_is_no_identified_one_in_any_output():
    row, flat = decisions.decision_row(lead()), decisions.flat_row(lead())
    for given in (row, flat):
        assert (given["decision"], given["subject"]) == ("possible", None)
        assert (given["possible_threshold"], given["possible_rate"]) == (0.25, 0.1)
    assert [(c["accepted"], c["possible"]) for c in row["candidates"]] == [
        (False, True), (False, True), (False, False),
    ]  # fmt: skip
    text = decisions.decisions_table([lead(), decision()])
    assert "possible 0.390 perhaps Ada, Bob 0.300; false alarm 3 %" in " ".join(text.split())
    assert text.endswith("\n\n1 named, 1 possible")
    assert "possible from 0.250: FPIR 10 % among 1 subject" in text


@pytest.mark.parametrize(
    ("margin", "needed"), [(0.28, "one must be 0.28 higher"), (np.nan, "nothing says by how much")]
)
def test_one_of_two_who_are_too_close_says_so_in_any_output(margin: float, needed: str):
    rival = Rival(RANKED[2], margin)
    found = decide(Probe("a.jpg", 0, FACE), RANKED, POINT, 0.39, 0.03, rival=rival)
    says = "Ada or Cy: 0.390 and 0.200 are too close to tell, "
    row, flat = decisions.decision_row(found), decisions.flat_row(found)
    for given in (row, flat):
        assert (given["decision"], given["subject"]) == ("possible", None)
        assert given["reason"].startswith(says + needed)
        assert given["possible_threshold"] is given["possible_rate"] is None
    assert [c["possible"] for c in row["candidates"]] == [True, False, True]
    text = " ".join(decisions.decisions_table([found]).split())
    assert f"possible 0.390 {says}{needed}" in text and "; false alarm 3 %" in text
    assert found.to_dict()["reason"] == "too close to tell"


def test_nobody_is_possible_beside_an_answer_or_unasked():
    named = decisions.decision_row(lead(0.35))
    assert (named["decision"], named["subject"]) == ("identified", "Ada")
    assert not any(c["possible"] for c in named["candidates"])
    unasked = decisions.decision_row(decision(score=0.39))
    assert unasked["decision"] == "unknown"
    assert unasked["possible_threshold"] is unasked["possible_rate"] is None


# for people -----------------------------------------------------------------------------------


def test_the_table_says_the_threshold_once_the_path_once_and_how_many_faces_came_to_what():
    faces = [decision(), replace(decision(score=0.3), probe=Probe("a.jpg", 1, FACE)), failed()]
    text = decisions.decisions_table(faces)
    above, shown, below = text.split("\n\n")
    assert above == "threshold 0.400: FPIR 1 % among 1 subject, reference table"
    assert below == "1 named, 1 unknown, 1 failed"
    assert text.count("0.400") == text.count("a.jpg") == 1
    rows = [line.split() for line in shown.split("\n")[2:]]
    assert rows[0][:4] == ["a.jpg", "0", "Ada", "0.700"]  # the face's number as in JSON
    assert rows[1][:3] == ["1", "unknown", "0.300"]
    assert decisions.decision_row(faces[1])["face"] == 1


def test_a_face_with_a_threshold_of_its_own_that_changes_the_answer_says_so():
    point = replace(POINT, crowd=Crowd(0.5, 0.2))
    above = decide(Probe("a", 0, FACE), RANKED[:1], point, 0.45)
    assert "its own" not in decisions.decisions_table([above])
    many = decide(Probe("a", 0, FACE), [Candidate(1, "Ada", 7, 0.42)], point, 0.45)
    text = decisions.decisions_table([many])
    assert "resembles many people, so its own threshold is 0.450" in text
    assert "threshold 0.400 (higher for a face that resembles many people):" in text
    few = decide(Probe("a", 0, FACE), RANKED[:1], point, 0.35)
    assert "resembles few people, so its own threshold is 0.350" in decisions.decisions_table([few])


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int):
    names = ["홍길동", "Nguyễn Văn Đức", "محمد عبد الله", "Dr. Karl-Theodor Maria Nikolaus Johann"]
    faces = [
        decision(f"photos/archive 2019/{'very ' * 9}long/{number}/{name}.jpg", name, score)
        for number, name in enumerate(names)
        for score in (0.7, 0.3)
    ]
    text = decisions.decisions_table([*faces, lead(), failed()], Terminal(width))
    assert max(map(wcswidth, text.split("\n"))) <= width
    assert all(word in text for name in names for word in name.split())
    assert "4 named, 1 possible, 4 unknown, 1 failed" in " ".join(text.split())


def test_colours_are_the_answers_and_only_on_request():
    faces = [decision(), decision(score=0.3), lead(), failed()]
    plain = decisions.decisions_table(faces, Terminal(100))
    painted = decisions.decisions_table(faces, Terminal(100, colour=True))
    assert "\x1b" not in plain
    for words in ("\x1b[1;32mAda\x1b[0m", "\x1b[33mpossible\x1b[0m", "\x1b[31mfailed\x1b[0m"):
        assert words in painted


# for spreadsheets -----------------------------------------------------------------------------


def test_csv_is_flat_and_names_the_nearest():
    (text,) = decisions.decisions_text([decision(score=0.3)], formats.OutputFormat.CSV)
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["subject"], row["nearest"], row["margin"]) == ("", "Ada", "-0.1")
    assert row["operating_point"] == "FPIR 1 % among 1 subject, reference table"
    assert not any(c in value for value in row.values() for c in "{}[]")
    json_row = decisions.decision_row(decision(score=0.3))
    for key in set(row) & set(json_row) - {"operating_point"}:
        assert row[key] == ("" if json_row[key] is None else str(json_row[key]))
    assert set(json_row) - set(row) == {"candidates"}


def test_candidates_have_columns_on_request_as_many_in_every_row():
    few = replace(lead(), candidates=RANKED[:1])
    texts = decisions.decisions_text([lead(), few, failed()], formats.OutputFormat.CSV, columns=2)
    rows = list(csv.DictReader(io.StringIO("\n".join(texts))))
    assert [(r["subject_1"], r["score_1"], r["possible_1"], r["subject_2"]) for r in rows] == [
        ("Ada", "0.39", "True", "Bob"), ("Ada", "0.39", "True", ""), ("", "", "", ""),
    ]  # fmt: skip


def test_a_name_that_is_a_formula_is_text_in_every_column():
    evil = '=HYPERLINK("http://x")'
    row = decisions.flat_row(decision(path="-1.jpg", subject=evil), 2)
    (read,) = csv.DictReader(io.StringIO(formats.as_csv([row])))
    assert read["subject"] == read["nearest"] == read["subject_1"] == "'" + evil
    assert read["path"] == "'-1.jpg"
    assert decisions.decision_row(decision(subject=evil))["subject"] == evil
