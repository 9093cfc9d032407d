"""JSON, CSV and tables: how any result becomes text."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facecli.common.types import FailureToAcquire, OperatingPoint

SCHEMA = 1  # of every JSON object and CSV row; rises when a field changes its meaning

Row = Mapping[str, Any]


class OutputFormat(Enum):
    """TABLE: for people. JSON: one document. JSON_LINES, CSV: a row at a time."""

    TABLE = auto()
    JSON = auto()
    JSON_LINES = auto()
    CSV = auto()


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
    """Quoted CSV with a header; lists become JSON in their cell. The last newline is left out."""
    out = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(out, list(row), lineterminator="\n")
            if header:
                writer.writeheader()
        writer.writerow({k: as_json_line(v) if isinstance(v, list | dict) else v
                         for k, v in finite(row).items()})  # fmt: skip
    return out.getvalue().rstrip("\n")


NUMBERS = {"face", "score", "threshold", "false alarm", "references", "reference", "quality",
           "FMR", "FNMR", "errors", "95 % interval"}  # fmt: skip


def table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    """Aligned columns under their titles, for people; control characters are shown, not obeyed."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(terminal_width, column)) for column in zip(headers, *shown, strict=True)]
    widths = [max(w, len(h) + 2) for w, h in zip(widths, headers, strict=True)]
    rules = ["-" * width for width in widths]
    right = [header in NUMBERS for header in headers]
    return "\n".join(_line(cells, widths, right) for cells in (headers, rules, *shown))


def titled_lines(rows: Sequence[tuple[str, str]]) -> str:
    """A title and its value a line, the values below each other."""
    width = max(terminal_width(title) for title, _ in rows)
    return "\n".join(f"{title:{width}}  {printable(value)}".rstrip() for title, value in rows)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    gaps = [" " * (w - terminal_width(c)) for c, w in zip(cells, widths, strict=True)]
    parts = (g + c if r else c + g for c, g, r in zip(cells, gaps, right, strict=True))
    return "  ".join(parts).rstrip()


def terminal_width(text: str) -> int:
    """How many columns of a terminal printable text takes."""
    if all(c < "\u0300" or c == "…" for c in text):  # Latin: before marks and wide characters
        return len(text)
    from wcwidth import wcswidth  # 20 ms, so only where its tables are needed

    return int(wcswidth(text))


def short_path(path: str, width: int = 60) -> str:
    """The path with its beginning left out where it takes more than `width` columns."""
    while terminal_width(printable(path)) > width and "/" in path.removeprefix("…/"):
        path = "…/" + path.removeprefix("…/").split("/", 1)[1]
    return path


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
