"""Operating points and calibrations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facecli.common.enums import Basis, Target
from facecli.metrics.crowd import FIRST, LAST
from facecli.report.columns import table
from facecli.report.formats import (
    SCHEMA,
    counted,
    estimated,
    failure_line,
    printable,
    rate,
    rounded,
    significant,
)
from facecli.report.intervals import interval_row

if TYPE_CHECKING:  # metrics cost scipy's import, which only a calibration needs
    from facecli.common.types import Crowd, FailureToAcquire, GalleryFit, OperatingPoint
    from facecli.metrics.verification import VerificationRates
    from facecli.threshold.from_pairs import Calibration
    from facecli.threshold.from_strangers import StrangerCalibration, StrangerSearch

SHOWN = 20  # lines of a list of photos
AGREES = 0.005  # cosine: a difference that no decision would notice


def point_row(point: OperatingPoint) -> dict[str, Any]:
    """An operating point as JSON."""
    return {
        "threshold": rounded(point.threshold),
        "basis": str(point.basis),
        "target": str(point.target),
        "target_rate": significant(point.target_rate),
        "expected_fpir": significant(point.expected_fpir),
        "expected_fpir_10n": significant(point.expected_fpir_10n),
        "least_fpir": significant(point.least_fpir),
        "fmr": significant(point.fmr),
        "n": point.n,
        "fit": _fit_row(point.fit) if point.fit else None,
        "crowd": _crowd_row(point.crowd) if point.crowd else None,
        "embedder": point.embedder_id,
        "made_from": point.made_from,
        "made_at": point.made_at or None,
        "notes": list(point.notes),
    }


def point_text(point: OperatingPoint) -> str:
    """The operating point in plain words."""
    lines = [
        f"threshold {point.threshold:.4f} (cosine; a candidate at or above it is accepted)",
        f"  chosen for   {aim(point)}",
        f"  basis        {point.basis}",
        f"  made from    {printable(point.made_from)}",
    ]
    if point.made_at:
        lines.append(f"  made at      {point.made_at}")
    lines.append(f"  embedder     {point.embedder_id}")
    if not math.isnan(point.expected_fpir):
        lines.append(
            f"  expected     {estimated(point.expected_fpir, point)} of strangers' searches would "
            f"name somebody among {counted(point.n, 'subject')} (FPIR); "
            f"{rate(point.fmr)} per comparison (FMR)"
        )
        lines.append(
            f"               {estimated(point.expected_fpir_10n, point)} if it stayed while the "
            f"gallery grew to {counted(10 * point.n, 'subject')}"
        )
    if point.fit:
        lines.append(f"  this gallery {_fit_text(point.fit)}")
    if point.crowd:
        lines.append(
            f"  each face    its own threshold is higher by up to {point.crowd.slope:.2f} of what "
            f"its scores at ranks {FIRST} to {LAST}\n               exceed "
            f"{point.crowd.likeness:.3f} by on average: the more people it resembles, the more it "
            "must resemble one"
        )
    lines += [f"  note         {note}" for note in point.notes]
    return "\n".join(lines)


def _crowd_row(crowd: Crowd) -> dict[str, Any]:
    return {"slope": rounded(crowd.slope), "likeness": rounded(crowd.likeness)}


def _fit_row(fit: GalleryFit) -> dict[str, Any]:
    return {
        "n": fit.n,
        "m": rounded(fit.median),
        "mu": rounded(fit.expected_median),
        "r": rounded(fit.ratio),
        "shift": rounded(fit.shift),
        "scale": rounded(fit.scale),
        "references": fit.references,
    }


def _fit_text(fit: GalleryFit) -> str:
    """What the gallery's own people, each searched among the others, did to the threshold."""
    moved = "not moved"
    if abs(fit.shift) >= AGREES / 10:
        moved = f"{'raised' if fit.shift > 0 else 'lowered'} by {abs(fit.shift):.3f}"
    stretched = f", its margin scaled by {fit.scale:.2f}" if abs(fit.scale - 1) > 0.005 else ""
    return (
        f"its own people reach {fit.median:.3f} among each other in the median, the reference set "
        f"{fit.expected_median:.3f}:\n               the threshold is {moved}{stretched} "
        f"(spread {fit.ratio:.2f} of the reference set's; {counted(fit.references, 'reference')} "
        "searched)"
    )


def _change_row(point: OperatingPoint, before: OperatingPoint | None) -> dict[str, Any]:
    """The threshold until now; None where there was none."""
    return {
        "before": rounded(before.threshold) if before else None,
        "after": rounded(point.threshold),
    }


def _change_text(
    point: OperatingPoint, before: OperatingPoint | None, shift: float | None, whose: str
) -> str:
    """`threshold 0.5170 -> 0.5170: ...`, and why it moved or stayed.

    shift: by how much the user's photos move the table before the gallery's own people do.
    """
    if before is None:
        return f"threshold none -> {point.threshold:.4f}: there was none before"
    told = f"threshold {before.threshold:.4f} -> {point.threshold:.4f}: "
    if before.target_rate != point.target_rate or before.target is not point.target:
        return f"{told}for {aim(point)}; until now {aim(before)}"
    if shift is None:
        return f"{told}measured on {whose} alone"
    agrees = abs(shift) < AGREES
    why = (
        f"{whose} agree with the table"
        if agrees
        else f"{whose} score {abs(shift):.3f} {'higher' if shift > 0 else 'lower'} than the table"
    )
    own = before.fit.shift if before.fit else 0.0
    if abs(own) >= AGREES and abs(point.threshold - before.threshold) < AGREES:
        moved = f"{'raised' if own > 0 else 'lowered'} it by {abs(own):.3f}"
        why += f"; the gallery's own people had {'' if agrees else 'already '}{moved}"
    if before.basis is not Basis.REFERENCE_TABLE:
        why += f"; until now by {before.basis}"
    return told + why


def calibration_row(calibration: Calibration) -> dict[str, Any]:
    """The JSON object of `threshold --calibrate`."""
    scores = calibration.scores
    return {
        "schema": SCHEMA,
        "operating_point": point_row(calibration.point),
        "threshold": _change_row(calibration.point, calibration.before),
        "mated": scores.mated.trials,
        "non_mated": scores.nonmated.trials,
        "photos": scores.photos,
        "failures_to_acquire": _failure_rows(scores.failures),
        "chosen": _rates_row(calibration.rates),
        "others": [_rates_row(r) for r in calibration.others],
        "remarks": list(calibration.remarks),
    }


def calibration_text(calibration: Calibration) -> str:
    """FMR and FNMR at several thresholds with counts and intervals, then the one chosen."""
    scores = calibration.scores
    rows = [_rates_cells(r, "") for r in calibration.others]
    rows.append(_rates_cells(calibration.rates, "<- chosen"))
    rows.sort(key=lambda cells: float(cells[0]))
    lines = [
        f"{scores.mated.trials:,} mated and {counted(scores.nonmated.trials, 'non-mated pair')} "
        f"of {counted(scores.photos, 'photo')}; "
        f"{counted(len(scores.failures), 'photo')} failed to acquire"
        + (" (their pairs count: mated as missed, non-mated as rejected)"
           if scores.failures else ""),
        *_failure_lines(scores.failures),
        "",
        table(
            rows, ["threshold", "FMR", "95 % interval", "errors", "FNMR", "95 % interval",
                   "errors", ""]
        ),
        "",
        _change_text(calibration.point, calibration.before, calibration.shift, "your pairs"),
        "",
        point_text(calibration.point),
        *_remarks(calibration.remarks),
    ]  # fmt: skip
    return "\n".join(lines)


def strangers_row(calibration: StrangerCalibration) -> dict[str, Any]:
    """The JSON object of `threshold --strangers`."""
    scores = calibration.scores
    return {
        "schema": SCHEMA,
        "operating_point": point_row(calibration.point),
        "threshold": _change_row(calibration.point, calibration.before),
        "people": scores.people,
        "searched": len(scores.searches),
        "photos": scores.photos,
        "failures_to_acquire": _failure_rows(scores.failures),
        "fpir": interval_row(calibration.fpir),
        "likely_enrolled": [_search_row(s) for s in calibration.likely_enrolled],
        "remarks": list(calibration.remarks),
    }


def strangers_text(calibration: StrangerCalibration) -> str:
    """What the strangers' searches came to, who may be enrolled after all, the one chosen."""
    scores, seen, n = calibration.scores, calibration.fpir, calibration.point.n
    suspects = calibration.likely_enrolled
    lines = [
        f"{counted(len(scores.searches), 'stranger')} searched for among "
        f"{counted(n, 'subject')}, one photo each; "
        f"{counted(len(scores.failures), 'photo')} failed to acquire",
        *_failure_lines(scores.failures),
        f"at the threshold below {seen.errors} of {seen.trials} people are named: FPIR "
        f"{rate(seen.rate)} (95 % interval {rate(seen.low)} - {rate(seen.high)}), on the same "
        "people that chose it",
    ]
    if suspects:
        lines += [
            "",
            f"probably enrolled, for strangers seldom score so: {counted(len(suspects), 'photo')}, "
            "still counted as strangers.",
            "Look at them, take out who is enrolled, and calibrate again:",
            *(f"  {printable(s.path)}: like {printable(s.subject)}, {s.score:.3f}"
              for s in suspects[:SHOWN]),
        ]  # fmt: skip
    changed = _change_text(calibration.point, calibration.before, None, "your strangers")
    return "\n".join(
        [*lines, "", changed, "", point_text(calibration.point), *_remarks(calibration.remarks)]
    )


def _search_row(search: StrangerSearch) -> dict[str, Any]:
    return {
        "path": search.path,
        "person": search.person,
        "subject": search.subject,
        "score": rounded(search.score),
    }


def _failure_rows(failures: Sequence[FailureToAcquire]) -> list[dict[str, str]]:
    return [{"path": f.path, "reason": failure_line(f)} for f in failures]


def _failure_lines(failures: Sequence[FailureToAcquire]) -> list[str]:
    return [f"  {printable(f.path)}: {printable(failure_line(f))}" for f in failures[:SHOWN]]


def _remarks(remarks: Sequence[str]) -> list[str]:
    return [f"  note         {remark}" for remark in remarks]


def _rates_row(rates: VerificationRates) -> dict[str, Any]:
    return {
        "threshold": rounded(rates.threshold),
        "fmr": interval_row(rates.fmr),
        "fnmr": interval_row(rates.fnmr),
    }


def _rates_cells(rates: VerificationRates, mark: str) -> list[str]:
    cells = [f"{rates.threshold:.4f}"]
    for i in (rates.fmr, rates.fnmr):
        if not i.trials:
            cells += ["not estimable", "", "0/0"]
        else:
            cells += [rate(i.rate), f"{rate(i.low)} - {rate(i.high)}", f"{i.errors}/{i.trials}"]
    return [*cells, mark]


def aim(point: OperatingPoint) -> str:
    """`FPIR 1 % among 300 subjects`, or that it was set by hand."""
    if point.target is Target.NONE:
        return "no target: set by hand"
    among = f" among {counted(point.n, 'subject')}" if point.target is Target.FPIR else ""
    return f"{point.target} {rate(point.target_rate)}{among}"
