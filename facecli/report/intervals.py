"""Rates with their counts and intervals, as JSON and as table cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facecli.report.formats import rate, significant

if TYPE_CHECKING:
    from facecli.common.types import Interval

NOT_ESTIMABLE = "not estimable"


def interval_row(i: Interval) -> dict[str, Any]:
    """A rate as JSON; `rate` is null where there were no trials."""
    return {
        "rate": significant(i.rate),
        "low": significant(i.low),
        "high": significant(i.high),
        "errors": i.errors,
        "trials": i.trials,
        "level": i.level,
        "method": i.method,
    }


def interval_cells(i: Interval) -> list[str]:
    """`3.3 %`, `0.96 % - 6.1 %`, `7/213`."""
    if not i.trials:
        return [NOT_ESTIMABLE, "", "0/0"]
    return [share(i.rate), f"{share(i.low)} - {share(i.high)}", f"{i.errors:,}/{i.trials:,}"]


def share(value: float) -> str:
    """As `formats.rate`, but with one decimal from 10 % up: 96.7 %."""
    return rate(value) if value < 0.1 or value == 1 else f"{value * 100:.1f} %"


def interval_text(i: Interval) -> str:
    """`3.3 %, 7 of 213 (95 % interval 0.96 % - 6.1 %)`."""
    value, interval, _ = interval_cells(i)
    if not i.trials:
        return value
    return f"{value}, {i.errors:,} of {i.trials:,} ({i.level * 100:g} % interval {interval})"
