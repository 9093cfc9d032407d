"""What `facecli doctor` found."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from facecli.cli.doctor.findings import Diagnosis, Finding, Verdict
from facecli.report.formats import SCHEMA, counted, printable


def diagnosis_row(diagnosis: Diagnosis) -> dict[str, Any]:
    """The JSON object of `doctor`."""
    findings = [
        {"part": str(f.part), "name": f.name, "verdict": str(f.verdict),
         "detail": f.detail, "fix": f.fix}
        for f in diagnosis.findings
    ]  # fmt: skip
    return {"schema": SCHEMA, "faults": len(diagnosis.faults), "findings": findings}


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """The same for people: part by part, each fix below what it mends, the count of faults last."""
    width = max(len(f.name) for f in diagnosis.findings)
    lines = []
    for part, findings in groupby(diagnosis.findings, key=lambda f: f.part):
        lines.append(str(part))
        lines += [line for finding in findings for line in _lines(finding, width)]
    faults = len(diagnosis.faults)
    return "\n".join([*lines, "", counted(faults, "fault") if faults else "no fault found"])


def _lines(finding: Finding, width: int) -> list[str]:
    mark = "" if finding.verdict is Verdict.OK else str(finding.verdict)
    lines = [f"  {mark:5}  {printable(finding.name):{width}}  {printable(finding.detail)}"]
    if finding.fix:
        lines.append(f"  {'':5}  {'':{width}}  fix: {printable(finding.fix)}")
    return lines
