"""Attacks on what may not fail; what they attack with is the tests' own, in tests/support."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))
