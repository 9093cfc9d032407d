"""Do the tests notice? Small faults put into the deciding code one by one.

    python -m benchmarks.reliability.mutants [ROOM/FILE ...] [--each 12] [--seed 0]

A fault is one of: a comparison that is strict or not, turned round, or taken back; + for -, * for
/, and for or, min for max, any for all; a number that is another; `not`, a sign, or a branch left
out; a call whose result nobody uses left out. Of each module as many are drawn as `--each` says, by
the seed (0: makes all of them). With each one the tests named below are run, on a copy, until one
fails. Prints how many of the faults some test saw, a row a module, and then the others. Messages
and what stands in SQL are left as they are.
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pytest
from tabulate import tabulate

ROOT = Path(__file__).parents[2]
EACH = 12
DECIDES = {  # what decides, and the tests that should notice, the nearest first
    "common/decision": "common/test_decision",
    "metrics/by_subject": "metrics/test_intervals metrics/test_verification",
    "metrics/crowd": "metrics/test_crowd",
    "metrics/gallery_fit": "metrics/test_gallery_fit threshold/test_operating_point",
    "metrics/identification": "metrics/test_identification",
    "metrics/intervals": "metrics/test_intervals",
    "metrics/paired": "metrics/test_paired",
    "metrics/rates": "metrics/test_verification metrics/test_identification",
    "metrics/reference_table": "metrics/test_reference_table metrics/test_crowd",
    "metrics/verification": "metrics/test_verification",
    "threshold/from_pairs": "threshold/test_from_pairs",
    "threshold/from_strangers": "threshold/test_from_strangers",
    "threshold/operating_point": "threshold/test_operating_point",
    "storage/search/candidates": "storage/search/test_candidates storage/search/test_sidecar",
    "storage/search/flat": "storage/search/test_flat",
    "storage/search/quantised": "storage/search/test_sidecar",
    "storage/search/ranker": "storage/search/test_ranker gallery/test_gallery "
    "storage/search/test_sidecar",
    "storage/sqlite/deletion": "storage/sqlite/test_erasure_check",
    "storage/sqlite/subject_rows": "storage/sqlite/test_store storage/sqlite/test_undo",
    "storage/sqlite/undo": "storage/sqlite/test_undo storage/sqlite/test_store",
    "gallery/identify": "gallery/test_gallery gallery/test_identify_clips "
    "gallery/test_identify_children",
    "grouping/links": "grouping/test_links",
    "recognition/pipeline": "recognition/test_pipeline recognition/test_pipeline_large_photos",
    "recognition/detector": "recognition/test_detector recognition/test_pipeline",
    "recognition/quality": "recognition/test_quality",
    "recognition/orientation": "recognition/test_orientation",
    "metrics/face_kinds": "metrics/test_face_kinds",
}
OTHER = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div,
    ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
TURNED = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "argmax": "argmin",
         "minimum": "maximum", "maximum": "minimum"}  # fmt: skip
# Each run of the tests is a fork of this process, which has the large packages in memory already.
FORKED = get_context("fork")
LARGE = ("cv2", "faiss", "hypothesis", "onnxruntime", "PIL.Image", "scipy.special", "sqlite_utils")
# What is for readers and type checkers alone.
LEFT = (ast.JoinedStr, ast.Import, ast.ImportFrom, ast.arg)
LEFT_FIELDS = {"annotation", "returns", "decorator_list", "bases"}


class Spoilt(ast.NodeTransformer):
    """A module's text with its n-th fault, from 0.

    change: the line, before and after; None where it has no more than `count` faults.
    """

    def __init__(self, text: str, n: int) -> None:
        self._left = n
        self.change: str | None = None
        tree = self.visit(ast.parse(text))
        self.count = n - self._left
        self.text = ast.unparse(ast.fix_missing_locations(tree))

    def visit(self, node: ast.AST) -> ast.AST:
        if self.change is not None or _is_left(node):
            return node
        for other in _others(node):
            if not self._left:
                self.change = f"{node.lineno}: {_shown(node)}  ->  {_shown(other)}"
                return other
            self._left -= 1
        hidden = {name: getattr(node, name) for name in LEFT_FIELDS if hasattr(node, name)}
        for name, value in hidden.items():
            setattr(node, name, [] if isinstance(value, list) else None)
        self.generic_visit(node)
        for name, value in hidden.items():
            setattr(node, name, value)
        return node


def _is_left(node: ast.AST) -> bool:
    return (
        isinstance(node, LEFT)
        or (isinstance(node, ast.keyword) and node.arg == "strict")
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    )


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in its place by mistake."""
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for kind in (OTHER.get(type(op)), TURNED.get(type(op))):
                    if kind:
                        yield _with(node, ops=[*ops[:i], kind(), *ops[i + 1 :]])
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in OTHER:
            yield _with(node, op=OTHER[type(op)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(2 * value or 1.0)
        case ast.Name(id=name) if name in NAMES:
            yield _with(node, id=NAMES[name])
        case ast.Attribute(attr=name) if name in NAMES:
            yield _with(node, attr=NAMES[name])
        case ast.IfExp():
            yield from (node.body, node.orelse)
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call()):
            yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """The same but for these fields."""
    return type(node)(**(dict(ast.iter_fields(node)) | fields))


def _shown(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).splitlines()[0]


@dataclass(frozen=True)
class Survey:
    """Of a module's `there` faults `made` were made; missed: those that no test noticed."""

    module: str
    there: int
    made: int
    missed: tuple[str, ...]

    @property
    def noticed(self) -> int:
        return self.made - len(self.missed)


def survey(module: str, each: int = EACH, seed: int = 0) -> Survey:
    """The module's tests, run with `each` of its faults, drawn by the seed; 0: with all of them."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for part in ("facecli", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        (copy / "models").symlink_to(ROOT / "models")
        file = copy / f"facecli/{module}.py"
        text = file.read_text()
        there = Spoilt(text, sys.maxsize).count
        drawn = range(there)
        if each:
            drawn = sorted(random.Random(seed).sample(drawn, min(each, there)))
        tests = [f"tests/{test}.py" for test in DECIDES[module].split()]
        for package in LARGE:
            import_module(package)
        began, before = time.monotonic(), _processor_time()
        if _fails(copy, tests):
            raise SystemExit(f"the tests of {module} fail without any fault")
        # A fault's tests hang where they take far longer: of processor time, which another
        # program's work does not lengthen, and of time, should they sleep.
        processor = 5 + 5 * (_processor_time() - before)
        patience = 60 + 20 * (time.monotonic() - began)
        missed = []
        for n in drawn:
            spoilt = Spoilt(text, n)
            file.write_text(spoilt.text)
            for stale in file.parent.glob(f"__pycache__/{file.stem}.*"):
                stale.unlink()  # Python goes by seconds and sizes, which may be the same
            if not _fails(copy, tests, processor, patience):
                missed.append(f"{module}:{spoilt.change}")
    return Survey(module, there, len(drawn), tuple(missed))


def rows() -> list[tuple[str, str]]:
    """The figure, with what it is."""
    found = [survey(module) for module in DECIDES]
    noticed, made, there = (sum(getattr(one, of) for one in found)
                            for of in ("noticed", "made", "there"))  # fmt: skip
    figure = f"{noticed} / {made} (of {there:,} in {len(found)} modules)"
    return [("small faults in the deciding code that tests noticed / made", figure)]


def _processor_time() -> float:
    """Seconds, of all runs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fails(
    copy: Path, tests: list[str], processor: float = math.inf, patience: float | None = None
) -> bool:
    """Whether a test fails, or they take longer than that, in seconds."""
    run = FORKED.Process(target=_tested, args=(copy, tests, processor))
    run.start()
    run.join(patience)
    if run.is_alive():
        os.killpg(run.pid, signal.SIGKILL)
        run.join()
    return run.exitcode != 0


def _tested(copy: Path, tests: list[str], processor: float) -> None:
    os.setsid()  # what the tests start ends with them, should they hang
    if processor < math.inf:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(processor),) * 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
    words = ["-n0", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=quick",
             "--hypothesis-seed=0"]  # fmt: skip
    os._exit(pytest.main([*words, *tests]))


def main() -> None:
    """Print the table and what nobody noticed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("modules", nargs="*", default=list(DECIDES))
    parser.add_argument("--each", type=int, default=EACH)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if unknown := set(given.modules) - set(DECIDES):
        parser.error(f"no such module here: {', '.join(sorted(unknown))}")
    found = [survey(module, given.each, given.seed) for module in given.modules]
    table = [[one.module, one.noticed, one.made, one.there] for one in found]
    table.append(["all", *(sum(row[i] for row in table) for i in (1, 2, 3))])
    table = [[*row, f"{100 * row[1] / max(1, row[2]):.1f} %"] for row in table]
    print(tabulate(table, ["module", "noticed", "made", "of", "share"]))
    print("\n".join(["", "not noticed:", *(line for one in found for line in one.missed)]))


if __name__ == "__main__":
    main()
