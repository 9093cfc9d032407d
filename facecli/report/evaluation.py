"""`evaluate` as JSON and as text. The page is in `evaluation_page`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facecli.report.columns import ANYWHERE, Terminal, table
from facecli.report.evaluation_tables import Table, summary, tables
from facecli.report.formats import SCHEMA, failure_line, printable, rounded, significant
from facecli.report.intervals import interval_row
from facecli.report.threshold import point_row

if TYPE_CHECKING:  # metrics cost scipy's import
    from facecli.evaluation.comparisons import ComparisonResults
    from facecli.evaluation.mistakes import Mistake
    from facecli.evaluation.run import Evaluation
    from facecli.evaluation.searches import SearchResults
    from facecli.metrics.identification import IdentificationRates
    from facecli.metrics.verification import VerificationRates

MOST_FAILURES = 20  # lines of text; JSON has them all


def evaluation_row(e: Evaluation) -> dict[str, Any]:
    """The JSON object of `evaluate`."""
    return {
        "schema": SCHEMA,
        "path": str(e.plan.path),
        "source": str(e.plan.source),
        "description": e.plan.description,
        "embedder": e.embedder_id,
        "target_fpir": e.target_fpir,
        "photos": e.photos,
        "failures_to_acquire": [{"path": f.path, "reason": failure_line(f)} for f in e.failures],
        "subjects_not_enrolled": e.not_enrolled,
        "verification": _verification_row(e.verification),
        "identification": [_identification_row(i) for i in e.identification],
        "mistakes": [_mistake_row(m) for m in e.mistakes],
        "summary": summary(e),
        "remarks": [*e.plan.problems, *e.remarks],
    }


def evaluation_text(e: Evaluation, terminal: Terminal = ANYWHERE) -> str:
    """The summary, then every table."""
    lines = [f"{printable(e.plan.description)}; embedder {e.embedder_id}", ""]
    lines += [f"- {printable(line)}" for line in summary(e)]
    lines += [
        f"  {printable(f.path)}: {printable(failure_line(f))}" for f in e.failures[:MOST_FAILURES]
    ]
    if len(e.failures) > MOST_FAILURES:
        lines.append(f"  and {len(e.failures) - MOST_FAILURES:,} more: see --json")
    return "\n\n".join(["\n".join(lines), *(_table_text(t, terminal) for t in tables(e))])


def _table_text(t: Table, terminal: Terminal) -> str:
    return f"{t.title}\n{table(t.rows, t.headers, terminal)}" + (f"\n{t.notes}" if t.notes else "")


def _verification_row(v: ComparisonResults) -> dict[str, Any]:
    equal = v.equal
    return {
        "mated": v.mated.trials,
        "non_mated": v.nonmated.trials,
        "drawn_from": v.comparisons.drawn_from,
        "eer": equal
        and {
            "rate": significant(equal.rate),
            "low": significant(equal.low),
            "high": significant(equal.high),
            "threshold": rounded(equal.threshold),
        },
        "fold_accuracy": v.accuracy
        and {"mean": rounded(v.accuracy[0]), "standard_error": rounded(v.accuracy[1])},
        "at_thresholds": [_rates_row(r) for r in v.table],
        "at_fmr": [
            {"target_fmr": at.fmr, "rates": at.rates and _rates_row(at.rates)} for at in v.tar
        ],
    }


def _rates_row(r: VerificationRates) -> dict[str, Any]:
    return {
        "threshold": rounded(r.threshold),
        "fmr": interval_row(r.fmr),
        "fnmr": interval_row(r.fnmr),
        "tar": interval_row(r.tar),
    }


def _identification_row(i: SearchResults) -> dict[str, Any]:
    return {
        "n": i.n,
        "mated_searches": i.searches.mated.trials,
        "non_mated_searches": i.searches.nonmated.trials,
        "operating_point": i.point and point_row(i.point),
        "expected_fpir": i.point and significant(i.point.expected_fpir),
        "at_operating_point": i.rates and _searches_row(i.rates),
        "at_fpir": [
            {"target_fpir": at.fpir, "rates": at.rates and _searches_row(at.rates)} for at in i.fnir
        ],
        "cmc": [interval_row(v) for v in i.cmc],
        "remark": i.remark or None,
    }


def _searches_row(r: IdentificationRates) -> dict[str, Any]:
    return {
        "threshold": rounded(r.threshold),
        "fpir": interval_row(r.fpir),
        "fnir": interval_row(r.fnir),
        "dir": interval_row(r.dir),
        "misidentification": interval_row(r.misidentification),
        "rank_one": interval_row(r.rank_one),
    }


def _mistake_row(m: Mistake) -> dict[str, Any]:
    return {
        "kind": m.kind.name.lower(),
        "score": rounded(m.score),
        "accepted": m.accepted,
        "first": {"path": m.first.path, "subject": m.first.subject or None},
        "second": {"path": m.second.path, "subject": m.second.subject or None},
    }
