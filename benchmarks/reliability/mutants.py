"""Do the tests notice? Small faults put into the deciding code one by one, by mutmut.

    python -m benchmarks.reliability.mutants [ROOM/FILE ...] [--each 12] [--seed 0]

Works on a copy. Of each module's faults it draws as many as `--each` says, by the seed, and for
each runs those of the tests named below that come by the function, until one fails. Prints how
many of the faults some test saw, a row a module, and names the rest. Faults within texts alone
(messages, docstrings) are not made, and none outside of functions. On one core all modules take
half an hour; `--each 0` makes all faults, and takes some hours. Needs: pip install 'mutmut>=3.6,<4'
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tabulate import tabulate

from facecli.common.parallel import processors

ROOT = Path(__file__).parents[2]
KILLED = {1, 3, 36, 37}  # pytest's exit codes for a failed test and an error; mutmut's for a hang
NO_TEST = 33
DECIDES = {  # what decides, and the tests that should notice
    "common/decision": ("common/test_decision.py",),
    "metrics/by_subject": ("metrics",),
    "metrics/crowd": ("metrics/test_crowd.py", "gallery/test_gallery.py"),
    "metrics/gallery_fit": ("metrics/test_gallery_fit.py", "threshold"),
    "metrics/identification": ("metrics",),
    "metrics/intervals": ("metrics",),
    "metrics/paired": ("metrics",),
    "metrics/rates": ("metrics",),
    "metrics/reference_table": ("metrics",),
    "metrics/verification": ("metrics",),
    "threshold/from_pairs": ("threshold",),
    "threshold/from_strangers": ("threshold",),
    "threshold/operating_point": ("threshold",),
    "storage/search/candidates": ("storage/search",),
    "storage/search/flat": ("storage/search",),
    "storage/search/quantised": ("storage/search",),
    "storage/search/ranker": ("storage/search", "gallery/test_gallery.py"),
    "storage/sqlite/deletion": ("storage/sqlite/test_erasure_check.py",),
    "storage/sqlite/subject_rows": ("storage/sqlite/test_store.py", "storage/sqlite/test_undo.py"),
    "gallery/identify": ("gallery/test_gallery.py",),
    "grouping/links": ("grouping/test_links.py",),
    "recognition/pipeline": (
        "recognition/test_pipeline.py",
        "recognition/test_pipeline_large_photos.py",
    ),
    "recognition/detector": ("recognition/test_detector.py", "recognition/test_pipeline.py"),
    "recognition/quality": ("recognition/test_quality.py",),
    "recognition/orientation": ("recognition/test_orientation.py",),
    "recognition/naturalness": ("recognition/test_naturalness.py",),
}
TEXT_ALONE = r'^\s*[fr]?".*"[,)]*$'
SETTINGS = {  # mutmut's: lists, and a hang is what takes six times as long as the tests do, and 12 s
    "source_paths": ["facecli"],
    "pytest_add_cli_args": ["-n0", "--hypothesis-profile=quick"],
    "also_copy": ["models", "tests", "pyproject.toml", "README.md", "docs", "examples"],
    "do_not_mutate_patterns": [TEXT_ALONE],
    "timeout_multiplier": ["6"],
    "timeout_constant": ["2"],
}


def survey(modules: list[str], each: int, seed: int) -> tuple[list[list[object]], list[str]]:
    """A row a module: how many were killed, made, and there are; and the changes that survived."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "mutants"))
        tests = sorted({f"tests/{test}" for module in modules for test in DECIDES[module]})
        lists = SETTINGS | {
            "only_mutate": [f"facecli/{module}.py" for module in modules],
            "pytest_add_cli_args_test_selection": tests,
        }
        lines = [f"{key}=" + "\n    ".join(["", *values]) for key, values in lists.items()]
        (copy / "setup.cfg").write_text("\n".join(["[mutmut]", *lines, ""]))
        # With one fault first: which there are is known once all are made.
        _mutmut(copy, "run", f"facecli.{modules[0].replace('/', '.')}.*__mutmut_1")
        there = {module: sorted(_fates(copy, module)) for module in modules}
        draw = random.Random(seed)
        made = {
            module: draw.sample(names, min(each, len(names))) if each else names
            for module, names in there.items()
        }
        _mutmut(copy, "run", *(name for names in made.values() for name in names))
        rows: list[list[object]] = []
        changes: list[str] = []
        for module, names in made.items():
            fates = _fates(copy, module)
            missed = [mutant for mutant in names if fates[mutant] not in KILLED]
            rows.append([module, len(names) - len(missed), len(names), len(there[module])])
            changes += [_change(copy, mutant, fates[mutant] == NO_TEST) for mutant in missed]
    return rows, changes


def _mutmut(copy: Path, *words: str) -> str:
    if words[0] == "run":
        words = (*words, "--max-children", str(processors()))
    done = subprocess.run([sys.executable, "-m", "mutmut", *words], cwd=copy,
                          capture_output=True, text=True)  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def _fates(copy: Path, module: str) -> dict[str, int | None]:
    """The exit code by fault, None where it was not run."""
    found = json.loads((copy / f"mutants/facecli/{module}.py.meta").read_text())
    return dict(found["exit_code_by_key"])


def _change(copy: Path, mutant: str, no_test: bool) -> str:
    lines = [line for line in _mutmut(copy, "show", mutant).splitlines()
             if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))]  # fmt: skip
    return f"{mutant}{': no test comes by' if no_test else ''}\n    " + "\n    ".join(lines)


def main() -> None:
    """Print the table and the survivors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("modules", nargs="*", default=list(DECIDES), choices=DECIDES)
    parser.add_argument("--each", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows, changes = survey(given.modules, given.each, given.seed)
    rows.append(["all", *(sum(row[i] for row in rows) for i in (1, 2, 3))])
    rows = [[*row, f"{100 * row[1] / max(1, row[2]):.1f} %"] for row in rows]
    print(tabulate(rows, ["module", "killed", "made", "of", "share"]))
    print("\n".join(["", "not noticed:", *changes]))


if __name__ == "__main__":
    main()
