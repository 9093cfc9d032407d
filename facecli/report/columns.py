"""Text in columns for people: as wide as it is, or folded into a terminal of a given width."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facecli.report.formats import printable

NUMBERS = {"face", "faces", "group", "score", "threshold", "false alarm", "references",
           "reference", "quality", "FMR", "FNMR", "errors", "95 % interval"}  # fmt: skip
GAP = "  "
LONGEST_WORD = 24  # columns: only words that are longer are broken
MOST_LETTERS = 100_000  # of a cell: more than anybody reads, and a name may hold a book
BREAK_AFTER = " /_-"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where text is read. width: columns, None without a limit, as in a file or a pipe.

    colour: whether it obeys colours (SGR codes of ECMA-48).
    """

    width: int | None = None
    colour: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell with a colour. sgr: the code, as in `1;32`; empty for none."""

    text: str
    sgr: str = ""


ANYWHERE = Terminal()

Row = Sequence[str | Cell]


def table(rows: Sequence[Row], headers: Sequence[str], terminal: Terminal = ANYWHERE) -> str:
    """Aligned columns under their titles; control characters are shown, not obeyed.

    Where the terminal is too narrow, cells are folded between words; where it is too narrow for
    that, a row becomes a block of lines, a title and its value each, empty cells left out.
    """
    shown = [[_shown(cell) for cell in row] for row in rows]
    columns = list(zip(headers, *([c.text for c in row] for row in shown), strict=True))
    taken = [sorted(map(terminal_width, column)) for column in columns]
    widths = [column[-1] for column in taken]
    if terminal.width is not None:
        least = [_least(column) for column in columns]
        fitted = _fitted(taken, least, terminal.width - len(GAP) * (len(widths) - 1))
        if fitted is None:
            return _blocks(shown, headers, terminal)
        widths = fitted
    titles, rules = ([Cell(text) for text in line] for line in (headers, ["-" * w for w in widths]))
    right = [header in NUMBERS for header in headers]
    return "\n".join(
        line for row in (titles, rules, *shown) for line in _lines(row, widths, right, terminal)
    )


def titled_lines(rows: Sequence[tuple[str, str]]) -> str:
    """A title and its value a line, the values below each other."""
    width = max(terminal_width(title) for title, _ in rows)
    return "\n".join(f"{title:{width}}  {printable(value)}".rstrip() for title, value in rows)


def fold(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns, broken between words (BREAK_AFTER).

    What has no such place within a line is broken where the line ends.
    """
    if terminal_width(text) <= width:
        return [text.rstrip()]
    lines, line = list[str](), ""
    for word in _words(text):
        if line and terminal_width((line + word).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        start, rest = 0, len(word.rstrip())
        # Only marks, which take no column, could lie further on: a long word is not measured whole.
        while terminal_width(word[start : min(rest, start + 8 * width)]) > width:
            head = _head(word[start : start + 8 * width], width)
            lines.append(head)
            start += len(head)
        line += word[start:]
    return [*lines, line.rstrip()] if line or not lines else lines


def folded(text: str, terminal: Terminal) -> str:
    """A paragraph as the terminal is wide."""
    return text if terminal.width is None else "\n".join(fold(text, terminal.width))


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


def _shown(cell: str | Cell) -> Cell:
    text, sgr = (cell.text, cell.sgr) if isinstance(cell, Cell) else (cell, "")
    if len(text) > MOST_LETTERS:
        text = text[: MOST_LETTERS - 1] + "…"
    return Cell(printable(text), sgr)


def _words(text: str) -> Iterator[str]:
    """Its pieces, each with the blank or sign that ends it."""
    start = 0
    for end, letter in enumerate(text, 1):
        if letter in BREAK_AFTER and not _belongs(text, end):
            yield text[start:end]
            start = end
    if start < len(text):
        yield text[start:]


def _belongs(text: str, end: int) -> bool:
    """Whether what ends there belongs to what follows, as in `< 0.01 %` and 2026-11-27."""
    before, after = text[end - 2 : end], text[end : end + 1]
    return before == "< " or after == "%" or (before[-1:] == "-" and after.isdigit())


def _head(word: str, width: int) -> str:
    """As much of it as `width` columns take, one letter at least, its marks with it."""
    end = 1
    while end < len(word) and terminal_width(word[: end + 1]) <= width:
        end += 1
    return word[:end]


def _least(column: Sequence[str]) -> int:
    """How narrow it may become: its title and its words stay whole, up to LONGEST_WORD."""
    title, *cells = column
    words = (terminal_width(word.rstrip()) for cell in cells for word in _words(cell))
    if title in NUMBERS:
        return max(map(terminal_width, column))
    return max(terminal_width(title), min(max(words, default=0), LONGEST_WORD))


def _fitted(taken: Sequence[Sequence[int]], least: Sequence[int], room: int) -> list[int] | None:
    """The columns' widths, made narrower where the fewest cells are folded for it, until all fit.

    taken: the widths of each column's cells, rising. None where they cannot fit.
    """
    fitted = [column[-1] for column in taken]

    def cost(at: int) -> tuple[int, int]:
        return len(taken[at]) - bisect_left(taken[at], fitted[at]), -fitted[at]

    while sum(fitted) > room:
        spare = [at for at, width in enumerate(fitted) if width > least[at]]
        if not spare:
            return None
        fitted[min(spare, key=cost)] -= 1
    return fitted


def _lines(
    row: Sequence[Cell], widths: Sequence[int], right: Sequence[bool], terminal: Terminal
) -> Iterator[str]:
    """The lines that a row takes."""
    folded = [fold(cell.text, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, folded))):
        parts = list[str]()
        for cell, lines, width, is_right in zip(row, folded, widths, right, strict=True):
            text = lines[number] if number < len(lines) else ""
            gap = " " * (width - terminal_width(text))
            painted = _painted(text, cell.sgr, terminal)
            parts.append(gap + painted if is_right else painted + gap)
        yield GAP.join(parts).rstrip()


def _blocks(rows: Sequence[Sequence[Cell]], headers: Sequence[str], terminal: Terminal) -> str:
    indent = max(map(terminal_width, headers)) + len(GAP)
    room = max(1, (terminal.width or indent) - indent)
    blocks = []
    for row in rows:
        lines = [
            f"{header if number == 0 else '':{indent}}{_painted(line, cell.sgr, terminal)}"
            for header, cell in zip(headers, row, strict=True)
            if cell.text
            for number, line in enumerate(fold(cell.text, room))
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _painted(text: str, sgr: str, terminal: Terminal) -> str:
    return f"\x1b[{sgr}m{text}\x1b[0m" if text and sgr and terminal.colour else text
