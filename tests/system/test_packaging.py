"""What is published: the files of the sdist and of the wheel, all of them and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from facecli.common.version import __version__

pytest.importorskip("hatchling", reason="NOT CHECKED: pip install 'facecli[dev]'")

from support.places import ROOT

NAME = f"facecli-{__version__}"
DATA = ("py.typed", "report/fonts/*.ttf", "report/fonts/*.txt", "report/fonts/README.md",
        "report/templates/*.html")  # fmt: skip
LICENCES = ("LICENSE", "facecli/report/fonts/LICENSE-DroidSansFallback.txt",
            "facecli/report/fonts/LICENSE-NotoSans.txt", "models/LICENSE-SFace.txt",
            "models/LICENSE-YuNet.txt")  # fmt: skip


FACTS = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", *(f"licenses/{n}" for n in LICENCES))
TOPS = {".ci", "benchmarks", "docs", "examples", "facecli", "models", "tests"}
ROOT_FILES = {"CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "pyproject.toml",
              "PKG-INFO", ".gitignore"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Built:
    """wheel: made from the sdist, as installers get it. direct: made from the source tree."""

    sdist: Path
    wheel: Path
    direct: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    sdist = build(ROOT, "sdist", folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return Built(
        sdist,
        build(folder / NAME, "wheel", folder / "from sdist"),
        build(ROOT, "wheel", folder / "direct"),
    )


def build(source: Path, kind: str, target: Path) -> Path:
    words = ("-m", "hatchling", "build", "-t", kind, "-d", str(target))
    done = subprocess.run([sys.executable, *words], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = target.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return made


def tracked() -> set[str]:
    """What git tracks; outside of a checkout, as in an unpacked sdist, what is there."""
    if (ROOT / ".git").exists():
        listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
        return {name for name in listed.split("\0") if (ROOT / name).is_file()}
    there = (path for top in TOPS for path in (ROOT / top).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in there if path.suffix != ".pyc"}


def test_the_wheel_holds_the_package_and_its_models_and_nothing_else(built: Built) -> None:
    files = tracked()
    package = {name for name in files if name.startswith("facecli/") and name.endswith(".py")}
    found = {path for some in DATA for path in (ROOT / "facecli").glob(some)}
    data = {path.relative_to(ROOT).as_posix() for path in found} & files
    models = {f"facecli/{name}" for name in files if Path(name).parent == Path("models")}
    facts = {f"{NAME}.dist-info/{name}" for name in FACTS}
    with zipfile.ZipFile(built.wheel) as wheel:
        held = wheel.namelist()
    wanted = package | data | models | facts
    assert not set(held) ^ wanted, "a file is too many, too few or not yet known to git"
    assert len(held) == len(wanted) and len(data) > 20 and len(models) > 10
    assert not any("models/make" in name for name in held)


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_source(built: Built) -> None:
    assert built.wheel.read_bytes() == built.direct.read_bytes()


def test_the_sdist_holds_all_that_belongs_to_the_project(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        held = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    wanted = {name for name in tracked() if name.split("/")[0] in TOPS}
    assert not {name for name in held if name.split("/")[0] in TOPS} ^ wanted
    assert {name for name in held if "/" not in name} == ROOT_FILES
    assert {name.split("/")[0] for name in held if "/" in name} == TOPS


def test_an_unpacked_wheel_finds_its_own_models(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        wheel.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c",
         "from facecli.recognition import selftest\n"
         "from facecli.recognition.model_zoo import registry\n"
         "from facecli.recognition.pipeline import Extractor\n"
         "spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)\n"
         "photo = Extractor.load(spec).image(selftest.crops()[0], 'hopper')\n"
         "print(len(photo.faces), spec.path, spec.table, registry.find_detector().path)"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "FACECLI_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    faces, *paths = done.stdout.split()
    assert int(faces) == 1 and len(paths) == 3
    assert {Path(path).parent for path in paths} == {tmp_path / "site" / "facecli" / "models"}
