"""The documentation's code blocks: found, run and compared with what the page says they print.

```console blocks hold `$ command` lines, each followed by its output (both streams); ```python
blocks hold a program with its output in `# -> ` lines. `...` stands for anything. The blocks of a
page run in order, in one folder that holds the demo's photos. A block after
`<!-- not run here: REASON -->` is left alone, one after `<!-- needs PROGRAM -->` where there is no
such program.

To write what the commands print today into the pages:

    python tests/support/pages.py README.md docs/*.md
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facecli.cli.demo import prepare

ROOT = Path(__file__).parents[2]  # not support.places: this file is a program, too
FENCE = re.compile(
    r"(?:<!-- (?:not run here: (?P<excuse>[^>]+)|needs (?P<needs>\S+)) -->\n)?"
    r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+(?:e[-+]?\d+)?|e[-+]?\d+)(?![\w]|\.\d)")
PIECE = re.compile(rf"(?P<number>{NUMBER.pattern})|(?P<any>\.\.\.)|(?P<rule>-{{3,}})|(?P<gap>\s+)")
PATH = os.defpath  # where programs are found
START = "import sys; sys.argv[0] = 'facecli'; from facecli.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. line: of its fence, from 1. excuse: why it is not run, None where it is.
    needs: the program without which it cannot be.
    """

    page: Path
    line: int
    kind: str
    body: str
    excuse: str | None
    needs: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """Something a page tells its reader to run. argv: for a process; output: what it promises.
    needs: a program that is not there.
    """

    page: Path
    line: int
    shown: str
    argv: tuple[str, ...]
    output: str
    needs: str | None = None


def pages() -> list[Path]:
    """README.md, CONTRIBUTING.md and everything in docs/."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("kind")) + 1
        yield Block(page, line, found["kind"], found["body"], found["excuse"], found["needs"])


def steps(page: Path) -> Iterator[Step]:
    """What is to be run on a page, in order."""
    for block in blocks(page):
        if block.excuse is not None:
            continue
        needs = block.needs if block.needs and not shutil.which(block.needs, path=PATH) else None
        if block.kind == "console":
            for found in COMMAND.finditer(block.body):
                line = block.line + 1 + block.body.count("\n", 0, found.start())
                argv = ("bash", "-c", found["command"])
                yield Step(page, line, found["command"], argv, found["output"], needs)
        elif block.kind == "python":
            promised = "".join(re.findall(r"^# -> (.*\n)", block.body, re.MULTILINE))
            argv = (sys.executable, "-c", block.body)
            yield Step(page, block.line, block.body, argv, promised, needs)


# The README's first command installs facecli[demo]; a page that needs more says so, and is here.
WITH_MORE = {"encryption.md": {"sqlcipher3", "keyring"}, "grouping.md": {"jinja2", "exiftool"}}
NOT_IN_DEMO = {
    "jinja2", "pillow_heif", "sqlcipher3", "keyring", "distributed", "dask", "pymilvus", "tflite",
    "ai_edge_litert", "exiftool", "torch", "torchvision", "onnx2torch",
}  # fmt: skip


def blocked(folder: Path, modules: Iterable[str]) -> Path:
    """A folder for PYTHONPATH with which these modules cannot be imported."""
    folder.mkdir()
    lines = [f"sys.modules[{module!r}] = None" for module in sorted(modules)]
    (folder / "sitecustomize.py").write_text("\n".join(["import sys", *lines, ""]))
    return folder


def scratch(folder: Path, page: str = "README.md") -> Path:
    """A folder as the demo leaves it, less its gallery, with a `facecli` command of this tree.

    page: its commands find the packages that the README's first command installs, and no others.
    """
    prepare(folder)
    blocked(folder / ".without", NOT_IN_DEMO - WITH_MORE.get(page, set()))
    command = folder / ".bin" / "facecli"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{START}" "$@"\n')
    command.chmod(0o755)
    return folder


def run(step: Step, folder: Path) -> tuple[int, str]:
    """The exit code and all that the step prints, on 80 columns, far from the user's own files."""
    done = subprocess.run(
        step.argv,
        cwd=folder,
        env={
            "PATH": os.pathsep.join([str(folder / ".bin"), PATH]),
            "HOME": str(folder),
            "FACECLI_HOME": str(folder / ".home"),
            "PYTHONPATH": os.pathsep.join([str(folder / ".without"), str(ROOT)]),
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=600,  # a last resort
        check=False,
    )
    return done.returncode, done.stdout


def agrees(promised: str, printed: str) -> bool:
    """Whether the output is the promised one, up to blanks and the third decimal."""
    expected = [found["number"] for found in PIECE.finditer(promised.strip()) if found["number"]]
    match = re.fullmatch(_pattern(promised.strip()), printed.strip(), re.DOTALL)
    return match is not None and all(map(_near, expected, match.groups()))


def _pattern(promised: str) -> str:
    """A regular expression that captures every decimal number."""
    parts, end = list[str](), 0
    for found in PIECE.finditer(promised):
        parts.append(re.escape(promised[end : found.start()]))
        kind = found.lastgroup or ""
        parts.append(
            {"number": f"({NUMBER.pattern})", "any": ".*?", "rule": "-{3,}", "gap": r"\s+"}[kind]
        )
        end = found.end()
    return "".join(parts) + re.escape(promised[end:])


def _near(promised: str, printed: str) -> bool:
    """Scores within 0.006, percentages and pixels within 3 %, 1e-09 and its like within a third."""
    was, now = float(promised), float(printed)
    if "e" in promised:
        return math.isclose(was, now, rel_tol=0.33)
    return math.isclose(was, now, rel_tol=0.03 if abs(was) > 1 else 0, abs_tol=0.006)


def refresh(page: Path) -> None:
    """Put what the steps print today in the place of the lines that no longer agree."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        scratch(Path(folder), page.name)
        for step in steps(page):
            if step.needs:
                sys.exit(f"{page}:{step.line}: needs {step.needs}")
            code, printed = run(step, Path(folder))
            if code:
                sys.exit(f"{page}:{step.line}: exit code {code}\n{step.shown}\n{printed}")
            if not agrees(step.output, printed):
                fresh = _keeping(step.output, printed)
                text = text.replace(_as_shown(step, step.output), _as_shown(step, fresh), 1)
    page.write_text(text, encoding="utf-8")


def _keeping(promised: str, printed: str) -> str:
    """What is printed, with the page's own lines where they agree and are indented alike."""
    there = [line for line in promised.splitlines(keepends=True) if line.strip() != "..."]
    return "".join(
        next((old for old in there if _indent(old) == _indent(line) and agrees(old, line)), line)
        for line in printed.splitlines(keepends=True)
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _as_shown(step: Step, output: str) -> str:
    """How a step with this output stands on its page."""
    if step.argv[0] == "bash":
        return f"$ {step.shown}\n{output}"
    return "".join(f"# -> {line}" for line in output.splitlines(keepends=True))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        refresh(Path(name))
