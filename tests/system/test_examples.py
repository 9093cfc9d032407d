"""The examples run as a user would run them, and show what they say they show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.galleries import environment
from support.pages import agrees
from support.patience import LAST_RESORT
from support.places import ROOT

EXAMPLES = ROOT / "examples"


def run_example(name: str, folder: Path, *arguments: str) -> str:
    """What it prints, run in a folder of its own."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        env=environment(folder / "home", MPLCONFIGDIR=str(folder)),
        capture_output=True,
        encoding="utf-8",
        timeout=LAST_RESORT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def counts(printed: str) -> dict[str, tuple[int, int, int]]:
    """By rule: strangers named, strangers, enrolled people found."""
    rows = re.findall(r"^(\S.*?) {2,}\S+ +\S+ +(\d+) of (\d+) .* (\d+) of \d+ *$", printed, re.M)
    return {rule: (int(named), int(of), int(found)) for rule, named, of, found in rows}


def check_picture(path: Path) -> None:
    """Drawn, with each rule's line in its colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((214, 39, 40), (255, 127, 14), (148, 103, 189), (44, 160, 44)):
        assert (pixels == colour).all(axis=1).sum() > 200, colour


def test_one_point_five_on_two_portraits(tmp_path: Path, portraits: dict[str, Path]) -> None:
    rules = counts(run_example("one_point_five.py", tmp_path))
    assert list(rules) == [
        "L2 below 1.5", "squared L2 below 1.5", "fixed FMR of 1 %", "facecli, FPIR 1 %",
    ]  # fmt: skip
    named, strangers, found = rules["L2 below 1.5"]
    assert named == strangers >= 8, "the rule names every stranger"
    named, _, facecli_found = rules["facecli, FPIR 1 %"]
    assert named == 0
    assert facecli_found == found >= 10, "and the fix loses none of the enrolled"
    check_picture(tmp_path / "one_point_five.png")


@pytest.mark.lfw
def test_one_point_five_on_many_people(tmp_path: Path, lfw: Path) -> None:
    rules = counts(run_example("one_point_five.py", tmp_path, "--photos", str(lfw / "photos")))
    assert rules["L2 below 1.5"][0] == rules["L2 below 1.5"][1] == 600
    assert rules["fixed FMR of 1 %"][0] > 400
    assert rules["facecli, FPIR 1 %"][0] < 18
    assert rules["facecli, FPIR 1 %"][2] > 180


def test_the_readme_s_picture(tmp_path: Path, portraits: dict[str, Path]) -> None:
    printed = run_example("who.py", tmp_path, "--picture", "who.jpg")
    assert sorted(printed.split("\n")) == ["", "identified Grace Hopper", "unknown "]
    with Image.open(tmp_path / "who.jpg") as now, Image.open(ROOT / "docs/pictures/who.jpg") as is_:
        assert now.size == is_.size, "run examples/who.py again"
        assert unlike(now, is_) < SEEN, "run examples/who.py again"
        for label in ((496, 28, 624, 44), (112, 80, 224, 96)):  # it would show, were one missing
            without = now.copy()
            without.paste(now.getpixel((4, 4)), label)
            assert unlike(without, is_) > 2 * SEEN


SEEN = 10  # of 255: decoders differ by 1 or 2, a letter in a square by 20


def unlike(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of the 16 x 16 px in which it is the largest."""
    difference = np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).mean(axis=2)
    height, width = (size // 16 for size in difference.shape)
    squares = difference[: height * 16, : width * 16].reshape(height, 16, width, 16)
    return float(squares.mean(axis=(1, 3)).max())


@pytest.mark.slow
def test_the_notebook(portraits: dict[str, Path]) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    is_ = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    now = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(now, timeout=LAST_RESORT).execute()
    assert len(printed(is_)) >= 5
    for old, new in zip(printed(is_), printed(now), strict=True):
        assert agrees(old, new), new


def printed(notebook) -> list[str]:
    """What its cells print."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    return [out["text"] for out in outputs if out["output_type"] == "stream"]
