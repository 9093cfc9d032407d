"""Do the tests notice? Small faults put into the deciding code one by one, by mutmut.

    python -m benchmarks.reliability.mutants [ROOM/FILE ...]

Works on a copy. Prints how many of the faults some test saw, a row a module, and names the rest.
Faults within texts alone (messages, docstrings) are not made. Takes an hour on two cores; named
modules alone take their share. Needs: pip install 'mutmut>=3.6,<4'
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parents[2]
KILLED = {1, 3, 36, 37}  # pytest's exit codes for a failed test and an error; mutmut's for a hang
SURVIVED, NO_TEST = 0, 33
DECIDES = {  # what decides, and the tests that should notice
    "common/decision": ("common/test_decision.py",),
    "metrics/by_subject": ("metrics",),
    "metrics/crowd": ("metrics/test_crowd.py", "gallery/test_gallery.py"),
    "metrics/gallery_fit": ("metrics/test_gallery_fit.py", "threshold"),
    "metrics/identification": ("metrics",),
    "metrics/intervals": ("metrics",),
    "metrics/rates": ("metrics",),
    "metrics/reference_table": ("metrics",),
    "metrics/verification": ("metrics",),
    "threshold/from_pairs": ("threshold",),
    "threshold/from_strangers": ("threshold",),
    "threshold/operating_point": ("threshold",),
    "storage/search/candidates": ("storage/search", "storage/sqlite/test_store.py"),
    "storage/search/flat": ("storage/search",),
    "storage/search/quantised": ("storage/search",),
    "storage/search/ranker": ("storage/search", "gallery/test_gallery.py"),
    "recognition/detector": ("recognition/test_detector.py", "recognition/test_pipeline.py"),
    "recognition/quality": ("recognition/test_quality.py",),
    "recognition/orientation": ("recognition/test_orientation.py",),
    "recognition/naturalness": ("recognition/test_naturalness.py",),
}
TEXT_ALONE = r'^\s*[fr]?".*"[,)]*$'


def survey(modules: list[str]) -> tuple[dict[str, Counter[str]], list[str]]:
    """By module how many were killed, survived or met no test; and the changes that survived."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "mutants"))
        tests = sorted({test for module in modules for test in DECIDES[module]})
        (copy / "setup.cfg").write_text(_settings(modules, tests))
        subprocess.run([sys.executable, "-m", "mutmut", "run"], cwd=copy, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        counts = {module: Counter[str]() for module in modules}
        changes: list[str] = []
        for module, count in counts.items():
            found = json.loads((copy / f"mutants/facecli/{module}.py.meta").read_text())
            for mutant, code in found["exit_code_by_key"].items():
                fate = "killed" if code in KILLED else "no test" if code == NO_TEST else "survived"
                count[fate] += 1
                if fate != "killed":
                    changes.append(f"{fate}: {_change(copy, mutant)}")
    return counts, changes


def _settings(modules: list[str], tests: list[str]) -> str:
    lists = {
        "source_paths": ["facecli"],
        "only_mutate": [f"facecli/{module}.py" for module in modules],
        "pytest_add_cli_args_test_selection": [f"tests/{test}" for test in tests],
        "pytest_add_cli_args": ["-n0", "--hypothesis-profile=quick"],
        "also_copy": ["models", "tests", "pyproject.toml", "README.md", "docs", "examples"],
        "do_not_mutate_patterns": [TEXT_ALONE],
    }
    lines = [f"{key}=" + "\n    ".join(["", *values]) for key, values in lists.items()]
    return "\n".join(["[mutmut]", *lines, ""])


def _change(copy: Path, mutant: str) -> str:
    """`module function: line -> line`."""
    shown = subprocess.run([sys.executable, "-m", "mutmut", "show", mutant], cwd=copy,
                           capture_output=True, text=True, check=True).stdout  # fmt: skip
    lines = [line for line in shown.splitlines()
             if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))]  # fmt: skip
    return f"{mutant}\n    " + "\n    ".join(lines)


def main() -> None:
    """Print the table and the survivors."""
    modules = sys.argv[1:] or list(DECIDES)
    counts, changes = survey(modules)
    rows = [[module, count["killed"], count.total()] for module, count in counts.items()]
    rows.append(["all", sum(row[1] for row in rows), sum(row[2] for row in rows)])
    rows = [[*row, f"{100 * row[1] / max(1, row[2]):.1f} %"] for row in rows]
    print(tabulate(rows, ["module", "killed", "of", "share"]))
    print("\n".join(["", "not noticed:", *changes]))


if __name__ == "__main__":
    main()
