"""What an evaluation says, in sentences and tables that its text and its page share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facecli.common.types import Interval
from facecli.metrics.reference_table import RULE_OF_3
from facecli.report.formats import counted, estimated, rate
from facecli.report.intervals import NOT_ESTIMABLE, interval_cells, interval_text

if TYPE_CHECKING:  # metrics cost scipy's import
    from facecli.evaluation.comparisons import ComparisonResults
    from facecli.evaluation.run import Evaluation
    from facecli.evaluation.searches import SearchResults
    from facecli.metrics.verification import VerificationRates

SHOWN_RANKS = (1, 2, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class Table:
    """rows: cells as text, as many as headers. notes: how to read it, the intervals' methods."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: str = ""


def summary(e: Evaluation) -> list[str]:
    """The result in plain words, the most important first."""
    lines = [f"No figure below can be used: {e.labels}."] if e.labels else []
    if e.identification:
        lines += _search_words(e.identification[-1], e.target_fpir)
    lines += _comparison_words(e.verification)
    if e.failures:
        lines.append(
            f"{counted(len(e.failures), 'photo')} of {e.photos:,} gave no template and stay in "
            "the denominators: mated ones as missed, non-mated ones as rejected."
        )
    if e.not_enrolled:
        lines.append(
            f"{counted(e.not_enrolled, 'subject')} could not be enrolled, none of their references "
            "being good enough; their probes count as missed."
        )
    return lines


def _search_words(i: SearchResults, target: float) -> Iterator[str]:
    if i.rates is None or i.point is None:
        yield f"There is no default operating point: {i.remark}."
        return
    among = f"among {counted(i.n, 'subject')}"
    strangers = i.rates.fpir
    if strangers.trials:
        yield (
            f"Strangers: aimed at naming {rate(target)} of them {among}, it named "
            f"{interval_text(strangers)}. {_verdict(strangers, target, i)}"
        )
    else:
        yield f"Strangers: there were none, so how many are named {among} is not known."
    if not i.rates.dir.trials:
        yield f"Enrolled people: none was searched for, so how many are found {among} is not known."
        return
    yield (
        f"Enrolled people: of their searches {among}, it identified {interval_text(i.rates.dir)}; "
        f"it named somebody else in {interval_text(i.rates.misidentification)}."
    )


def _verdict(fpir: Interval, target: float, i: SearchResults) -> str:
    people = len(set(i.strangers.people))
    if fpir.low > target:
        return "That is more than was aimed at: these photos differ from the reference set."
    if RULE_OF_3 / people > target:
        return (
            f"{counted(people, 'stranger')} can show {rate(min(1, RULE_OF_3 / people))} at best "
            f"(rule of 3): {RULE_OF_3 / target:,.0f} are needed to show {rate(target)}."
        )
    if fpir.high < target:
        return "That is less than was allowed: the threshold is stricter than it need be."
    return "The aim lies within the interval."


def _comparison_words(v: ComparisonResults) -> Iterator[str]:
    if v.equal is not None:
        yield (
            f"Two photos compared: the equal error rate is {rate(v.equal.rate)}, over "
            f"{v.mated.trials:,} mated and {v.nonmated.trials:,} non-mated comparisons."
        )
    best = [tar for tar in v.tar if tar.rates]
    if best and best[-1].rates:
        passed = interval_text(best[-1].rates.tar)
        yield f"Of the mated ones, at FMR {best[-1].fmr:g}, {passed} pass."
    if v.accuracy is not None:
        mean, error = v.accuracy
        shown = f"{mean * 100:.2f} % ± {error * 100:.2f}"
        yield f"Accuracy by LFW's protocol: {shown} (mean and standard error over the folds)."


def tables(e: Evaluation) -> list[Table]:
    """Every rate with its counts and interval."""
    found = [_operating_table(e.identification[-1])] if e.identification else []
    if e.identification:
        found += [_sizes_table(e.identification), _fnir_table(e.identification)]
        found.append(_cmc_table(e.identification[-1]))
    found += [_thresholds_table(e.verification), _tar_table(e.verification)]
    return [table for table in found if table.rows]


def _operating_table(i: SearchResults) -> Table:
    title = f"1:N at the default operating point, N = {i.n:,}"
    headers = ("rate", "observed", "95 % interval", "count", "expected")
    if i.rates is None or i.point is None:
        return Table(title, headers, ())
    r = i.rates
    shown = {
        "FPIR, strangers named": r.fpir,
        "FNIR, mates not identified": r.fnir,
        "DIR = 1 - FNIR, mates identified": r.dir,
        "misidentification, named as another": r.misidentification,
        "rank 1, whatever the score": r.rank_one,
    }
    expected = {"FPIR, strangers named": estimated(i.point.expected_fpir, i.point)}
    rows = tuple((n, *interval_cells(v), expected.get(n, "")) for n, v in shown.items())
    notes = f"Threshold {i.point.threshold:.4f}. {_methods(shown.values())}"
    return Table(title, headers, rows, notes)


def _sizes_table(results: Iterable[SearchResults]) -> Table:
    rows = tuple(
        (
            f"{i.n:,}", f"{i.point.threshold:.4f}", estimated(i.point.expected_fpir, i.point),
            *interval_cells(i.rates.fpir), *interval_cells(i.rates.dir),
        )
        for i in results
        if i.rates is not None and i.point is not None
    )  # fmt: skip
    headers = ("N", "threshold", "expected", "FPIR", "95 % interval", "errors", "DIR",
               "95 % interval", "count")  # fmt: skip
    notes = "Smaller galleries are drawn from the whole one; each has the threshold of its own N."
    return Table("The same at several N", headers, rows if len(rows) > 1 else (), notes)


def _fnir_table(results: Sequence[SearchResults]) -> Table:
    estimable = [(i.n, at.fpir, at.rates) for i in results for at in i.fnir if at.rates]
    rows = [
        (f"{n:,}", rate(fpir), f"{rates.threshold:.4f}", *interval_cells(rates.fnir))
        for n, fpir, rates in estimable
    ]
    # Whether it is estimable depends on the strangers alone, so it is the same at every N.
    rows += [
        ("any", rate(at.fpir), "", NOT_ESTIMABLE, "", f"needs {RULE_OF_3 / at.fpir:,.0f}")
        for at in results[-1].fnir
        if at.rates is None
    ]
    notes = (
        "Thresholds in hindsight, on these very strangers; 'needs' counts strangers (rule of 3). "
        + _methods(rates.fnir for _, _, rates in estimable)
    )
    headers = ("N", "FPIR", "threshold", "FNIR", "95 % interval", "errors")
    return Table("FNIR at FPIR", headers, tuple(rows), notes)


def _cmc_table(i: SearchResults) -> Table:
    shown = [(rank, v) for rank, v in enumerate(i.cmc, 1) if rank in SHOWN_RANKS]
    rows = tuple((str(rank), *interval_cells(v)) for rank, v in shown)
    notes = f"Closed-set, N = {i.n:,}, without a threshold. {_methods(i.cmc)}"
    headers = ("rank", "found by then", "95 % interval", "count")
    return Table("Cumulative match characteristic", headers, rows, notes)


def _thresholds_table(v: ComparisonResults) -> Table:
    rows = tuple(
        (f"{r.threshold:.4f}", *interval_cells(r.fmr), *interval_cells(r.fnmr)) for r in v.table
    )
    headers = ("threshold", "FMR", "95 % interval", "errors", "FNMR", "95 % interval", "errors")
    count = len(v.comparisons.scores)
    sample = (
        f"{count:,} of {v.comparisons.drawn_from:,} comparisons, drawn by chance. "
        if count < v.comparisons.drawn_from
        else ""
    )
    methods = _methods([x for r in v.table for x in (r.fmr, r.fnmr)])
    return Table("1:1 at several thresholds", headers, rows, sample + methods)


def _tar_table(v: ComparisonResults) -> Table:
    rows = tuple(_tar_cells(at.fmr, at.rates) for at in v.tar) if v.mated.trials else ()
    intervals = [at.rates.tar for at in v.tar if at.rates]
    notes = (
        "Thresholds in hindsight; 'needs' counts non-mated comparisons that share nobody (rule "
        "of 3). " + _methods(intervals)
    )
    headers = ("FMR", "threshold", "TAR", "95 % interval", "count")
    return Table("1:1, true accepts at FMR", headers, rows, notes)


def _tar_cells(fmr: float, rates: VerificationRates | None) -> tuple[str, ...]:
    if rates is None:
        return (f"{fmr:g}", "", NOT_ESTIMABLE, "", f"needs {RULE_OF_3 / fmr:,.0f}")
    return (f"{fmr:g}", f"{rates.threshold:.4f}", *interval_cells(rates.tar))


def _methods(intervals: Iterable[Interval]) -> str:
    """Which methods the intervals come from, design effects left out."""
    names = sorted({i.method.split(",")[0] for i in intervals if i.trials})
    widened = any("design effect" in i.method for i in intervals)
    more = ", trials divided by the design effect of shared people" if widened else ""
    return f"Intervals: {'; '.join(names)}{more}." if names else ""
