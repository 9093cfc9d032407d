"""Decisions as a pandas DataFrame, for notebooks; pandas is the user's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from facecli.common.errors import UsageError
from facecli.common.types import Decision
from facecli.report.decisions import flat_row

if TYPE_CHECKING:
    import pandas


def to_dataframe(decisions: Decision | Iterable[Decision], top: int = 0) -> pandas.DataFrame:
    """A row a face, with the columns of `identify --csv`; None and NaN where nothing is known.

    decisions: one, or many. top: how many candidates have columns of their own. Raises UsageError
    where pandas is missing.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError("a DataFrame needs pandas: pip install pandas") from error
    some = [decisions] if isinstance(decisions, Decision) else decisions
    return pandas.DataFrame([flat_row(decision, top) for decision in some])
