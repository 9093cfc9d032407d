"""JSON, CSV, numbers and names: how any result becomes text. Columns of it: `columns`."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facecli.common.types import FailureToAcquire, OperatingPoint

SCHEMA = 1  # of every JSON object and CSV row; rises when a field changes its meaning

BOM = "\ufeff"  # before a CSV file: without it, Excel reads names as Latin-1

Row = Mapping[str, Any]


class OutputFormat(Enum):
    """TABLE: for people. JSON: one document. JSON_LINES, CSV: a row at a time."""

    TABLE = auto()
    JSON = auto()
    JSON_LINES = auto()
    CSV = auto()


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def as_json(value: Any) -> str:
    """One JSON document, indented; NaN becomes null."""
    return _shown(json.dumps(finite(value), ensure_ascii=False, indent=2))


def as_json_line(value: Any) -> str:
    """The same on one line."""
    return _shown(json.dumps(finite(value), ensure_ascii=False))


def _shown(text: str) -> str:
    """The same JSON (RFC 8259, 7) without letters that a terminal obeys or that turn the text."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_csv(rows: Iterable[Row], header: bool = True) -> str:
    """Quoted CSV with a header. The last newline is left out.

    Text that a spreadsheet would work out as a formula gets a quote before it; numbers do not.
    """
    lines = list[str]()
    for row in rows:
        if header and not lines:
            lines.append(_csv_line(row))
        lines.append(_csv_line([defused(value) for value in finite(row).values()]))
    return "\n".join(lines)


def _csv_line(cells: Iterable[Any]) -> str:
    # With this end of line both of its letters are quoted, wherever they stand.
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n")


def defused(value: Any) -> Any:
    """Text as a cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    is_text = isinstance(value, str) and len(value) > 1
    return f"'{value}" if is_text and value.startswith(_FORMULA) else value


def counted(number: int, noun: str) -> str:
    """`1 subject`, `2 subjects`, `1,000 subjects`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def printable(text: str) -> str:
    """The text with control and direction-changing characters escaped as in Python.

    The joiners of Persian, Indic scripts and emoji (U+200C, U+200D) stay.
    """
    return "".join(
        c if c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )  # fmt: skip


def rate(rate: float) -> str:
    """A rate in percent with two significant digits; below 0.0001 % only that it is."""
    if math.isnan(rate):
        return "not known"
    percent = rate * 100
    if 0 < percent < 9.96e-5:
        return "< 0.0001 %"
    return f"{percent:.2g} %" if percent < 99 else f"{percent:.3g} %"


def estimated(estimate: float, point: OperatingPoint) -> str:
    """An estimate of strangers named, and no less than the people behind it can show."""
    least = point.least_fpir
    if estimate > least or math.isnan(estimate):
        return rate(estimate)
    return f"< {rate(least)}" if least < 1 else "not known"


def rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 6)


def significant(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.4g}")


def finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def failure_line(failure: FailureToAcquire) -> str:
    """`reason: what to do`."""
    return f"{failure.reason}: {failure.detail}" if failure.detail else str(failure.reason)
