"""Results to text: tables for people, JSON and CSV for programs. Returns strings, prints nothing.

formats: any result. decisions: identify and verify. people: enroll and gallery.
custody: undo, purge, repair, log. reembedding. threshold.
"""

from facecli.report.copying import copied_row, copied_text
from facecli.report.custody import (
    change_row,
    change_text,
    changes_table,
    doomed_text,
    erasure_row,
    erasure_text,
    log_row,
    log_table,
    repair_text,
)
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
from facecli.report.reembedding import left_out_text, re_embedding_row, re_embedding_text
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
    "change_row",
    "change_text",
    "changes_table",
    "copied_row",
    "copied_text",
    "counted",
    "decision_row",
    "decisions_table",
    "doomed_text",
    "enrol_row",
    "enrol_text",
    "erasure_row",
    "erasure_text",
    "info_row",
    "info_text",
    "left_out_text",
    "log_row",
    "log_table",
    "people",
    "point_row",
    "point_text",
    "printable",
    "re_embedding_row",
    "re_embedding_text",
    "reference_row",
    "references_table",
    "repair_text",
    "strangers_row",
    "strangers_text",
    "subject_row",
    "subjects_table",
    "verification_row",
    "verification_text",
]
