"""Results to text: tables for people, JSON and CSV for programs. Returns strings, prints nothing.

formats: any result. decisions: identify and verify. people: enroll and gallery. threshold.
"""

from facecli.report.decisions import (
    decision_row,
    decisions_table,
    verification_row,
    verification_text,
)
from facecli.report.formats import as_csv, as_json, as_json_line, counted, printable
from facecli.report.people import (
    enrol_row,
    enrol_text,
    info_row,
    info_text,
    people,
    reference_row,
    references_table,
    subject_row,
    subjects_table,
)
from facecli.report.threshold import (
    calibration_row,
    calibration_text,
    point_row,
    point_text,
    strangers_row,
    strangers_text,
)

__all__ = [
    "as_csv",
    "as_json",
    "as_json_line",
    "calibration_row",
    "calibration_text",
    "counted",
    "decision_row",
    "decisions_table",
    "enrol_row",
    "enrol_text",
    "info_row",
    "info_text",
    "people",
    "point_row",
    "point_text",
    "printable",
    "reference_row",
    "references_table",
    "strangers_row",
    "strangers_text",
    "subject_row",
    "subjects_table",
    "verification_row",
    "verification_text",
]
