"""The whole suite with the oldest versions that pyproject.toml allows, or with the newest.

python .ci/bounds.py lowest [PYTEST ARGUMENTS]     or: newest

Needs uv (pip install uv) and a package index. Everything happens in a temporary environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"
# lowest-direct: only what facecli names itself is old; what those need is as new as they allow.
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}


def main() -> int:
    """Resolve, install, say what came, and run the tests; their exit code."""
    if len(sys.argv) < 2 or sys.argv[1] not in RESOLUTIONS:
        sys.exit(__doc__)
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv is missing: pip install uv")
    with tempfile.TemporaryDirectory() as made:
        lock, environment = Path(made) / "lock.txt", Path(made) / "environment"
        python = environment / "bin" / "python"
        resolution = ("--resolution", RESOLUTIONS[sys.argv[1]], "--python-version", PYTHON)
        _run(
            uv, "pip", "compile", "-q", *resolution, "--extra", "dev", "pyproject.toml", "-o", lock
        )
        _run(uv, "venv", "-q", "--python", PYTHON, environment)
        _run(uv, "pip", "install", "-q", "--python", python, "-r", lock)
        print(" ".join(_named(lock.read_text())), flush=True)
        tests = [python, "-m", "pytest", "-p", "no:cacheprovider", *sys.argv[2:]]
        path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
        return subprocess.run(tests, cwd=ROOT, env={**os.environ, "PATH": path}).returncode


def _run(*command: str | Path) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


def _named(lock: str) -> list[str]:
    """The versions of what pyproject.toml itself names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.split(r"[^\w-]", each)[0] for each in wanted}
    return sorted(
        pin for pin in re.findall(r"^\S+==\S+", lock, re.MULTILINE) if pin.split("==")[0] in names
    )


if __name__ == "__main__":
    sys.exit(main())
