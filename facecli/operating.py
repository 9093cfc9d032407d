"""Where the threshold in force comes from: a table of non-mated scores, a target, and N."""

from __future__ import annotations

from facecli.errors import CalibrationError
from facecli.reference_table import ReferenceTable, from_json
from facecli.store import CalibrationRow
from facecli.terms import Basis, Target
from facecli.types import OperatingPoint

DEFAULT_FPIR = 0.01
DEFAULT_FMR = 1e-4  # for a comparison of two photos where no gallery says otherwise
NAN = float("nan")


def point(
    table: ReferenceTable,
    n: int,
    target: Target,
    rate: float,
    basis: Basis,
    embedder_id: str,
    made_at: str = "",
) -> OperatingPoint:
    """The threshold that `table` gives for the target rate among n subjects.

    FPIR: t = Q(1 - (1 - rate)^(1/n)), so it rises with n; FMR: t = Q(rate), whatever n is.
    """
    threshold = table.threshold(rate, n) if target is Target.FPIR else table.score(rate)
    fmr = table.tail(threshold)
    notes: tuple[str, ...] = ()
    if table.extrapolates(fmr):
        notes = (
            f"extrapolated: the scores behind it show nothing rarer than 1 in "
            f"{1 / table.tails[-1]:,.0f} comparisons, this needs 1 in {1 / fmr:,.0f}",
        )
    return OperatingPoint(
        threshold=threshold,
        basis=basis,
        target=target,
        target_rate=rate,
        expected_fpir=table.fpir(threshold, n) if n else NAN,
        fmr=fmr,
        n=n,
        embedder_id=embedder_id,
        made_from=table.made_from,
        made_at=made_at,
        notes=notes,
    )


def by_hand(
    threshold: float, n: int, table: ReferenceTable | None, embedder_id: str, made_at: str = ""
) -> OperatingPoint:
    """A threshold somebody insists on, with what the model's table expects of it."""
    return OperatingPoint(
        threshold=threshold,
        basis=Basis.BY_HAND,
        target=Target.NONE,
        target_rate=NAN,
        expected_fpir=table.fpir(threshold, n) if table and n else NAN,
        fmr=table.tail(threshold) if table else NAN,
        n=n,
        embedder_id=embedder_id,
        made_from="chosen by the user; no error rate was measured for it",
        made_at=made_at,
    )


def in_force(
    row: CalibrationRow | None, built_in: ReferenceTable | None, n: int, embedder_id: str
) -> OperatingPoint:
    """The gallery's own choice, else the embedder's table at FPIR 1 %, for n subjects now.

    Raises CalibrationError when there is neither.
    """
    if row is None:
        if built_in is None:
            raise CalibrationError(
                f"the embedder {embedder_id.split(':')[0]} comes without a reference table, so "
                "there is no default threshold: measure one with "
                "`facecli threshold --calibrate pairs.csv`, or insist with `--set T`"
            )
        return point(built_in, n, Target.FPIR, DEFAULT_FPIR, Basis.REFERENCE_TABLE, embedder_id)
    if row.threshold is not None:
        return by_hand(row.threshold, n, built_in, embedder_id, row.made_at)
    table = scores_behind(row, built_in)
    if table is None:
        raise CalibrationError("the stored calibration is damaged: calibrate again")
    rate = DEFAULT_FPIR if row.target_rate is None else row.target_rate
    return point(table, n, Target(row.target), rate, Basis(row.basis), embedder_id, row.made_at)


def scores_behind(
    row: CalibrationRow | None, built_in: ReferenceTable | None
) -> ReferenceTable | None:
    """The table that turns scores into rates: the calibration's own, else the embedder's."""
    return from_json(row.scores) if row is not None and row.scores else built_in
