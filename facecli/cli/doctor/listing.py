"""What `facecli doctor` found."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from facecli.cli.doctor.diagnosis import Check, Diagnosis, Verdict
from facecli.report.formats import SCHEMA, counted, printable


def diagnosis_row(diagnosis: Diagnosis) -> dict[str, Any]:
    """The JSON object of `doctor`."""
    checks = [
        {"part": str(c.part), "name": c.name, "verdict": str(c.verdict),
         "detail": c.detail, "fix": c.fix}
        for c in diagnosis.checks
    ]  # fmt: skip
    return {"schema": SCHEMA, "faults": len(diagnosis.faults), "findings": checks}


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """The same for people: part by part, each fix below what it mends, the count of faults last."""
    width = max(len(c.name) for c in diagnosis.checks)
    lines = []
    for part, checks in groupby(diagnosis.checks, key=lambda c: c.part):
        lines.append(str(part))
        lines += [line for check in checks for line in _lines(check, width)]
    faults = len(diagnosis.faults)
    return "\n".join([*lines, "", counted(faults, "fault") if faults else "no fault found"])


def _lines(check: Check, width: int) -> list[str]:
    mark = "" if check.verdict is Verdict.OK else str(check.verdict)
    lines = [f"  {mark:5}  {printable(check.name):{width}}  {printable(check.detail)}"]
    if check.fix:
        lines.append(f"  {'':5}  {'':{width}}  fix: {printable(check.fix)}")
    return lines
