"""`facecli doctor` against real faults, each with its fix, and never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from support.galleries import Command, hopper, new_store, reference
from support.networks import network
from support.places import ROOT

from facecli.cli.doctor.diagnosis import Check, Diagnosis, Part, Verdict
from facecli.cli.doctor.examine import examine
from facecli.cli.doctor.listing import diagnosis_row, diagnosis_text
from facecli.recognition.model_zoo import add, registry
from facecli.recognition.model_zoo.specs import ChannelOrder
from facecli.report import formats


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A facecli folder of this test's own."""
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "home"))
    for name in ("FACECLI_MODEL", "FACECLI_GALLERY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def command(own_home: Path) -> Command:
    return Command(own_home)


@pytest.fixture
def enrolled(command: Command, tmp_path: Path) -> Path:
    """A gallery of one real face."""
    gallery = tmp_path / "people.facecli"
    assert command("enroll", hopper(), "-s", "Grace", "-g", gallery, "-q").returncode == 0
    return gallery


def one(found: Diagnosis, part: Part, name: str) -> Check:
    (check,) = (f for f in found.checks if (f.part, f.name) == (part, name))
    return check


def only_fault(found: Diagnosis, part: Part, name: str) -> Check:
    """The one fault there is; it must say how to mend it."""
    (fault,) = found.faults
    assert (fault.part, fault.name) == (part, name), fault
    assert fault.fix and "\n" not in fault.fix
    return fault


def broken_import(folder: Path, module: str) -> str:
    """A PYTHONPATH on which a package is there and its library is not, as libGL for OpenCV."""
    folder.mkdir()
    text = "raise ImportError('libGL.so.1: cannot open shared object file')\n"
    (folder / f"{module}.py").write_text(text)
    return os.pathsep.join([str(folder), str(ROOT)])


def wheel(folder: Path, name: str, module: str) -> None:
    """What pip leaves of a wheel beside its files."""
    (info := folder / f"{name}-9.9.dist-info").mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    (info / "top_level.txt").write_text(f"{module}\n")


def test_a_sound_installation_has_no_fault(enrolled: Path) -> None:
    found = examine(enrolled)
    assert found.faults == ()
    assert one(found, Part.DEVICES, "cpu").detail.endswith("cosine to the known template 1.000000")
    assert one(found, Part.GALLERY, "people").detail == "subjects 1, references 1"
    assert one(found, Part.GALLERY, "index").detail == "flat, 0.0 MB"
    assert one(found, Part.GALLERY, "threshold").detail.startswith("0.3458, for FPIR 0.01")
    assert (
        "sha256 as described; Apache-2.0" in one(found, Part.MODELS, "mobilefacenet-arcface").detail
    )
    assert {f.part for f in found.checks} == set(Part)


def test_the_command_says_what_the_library_says(command: Command, enrolled: Path) -> None:
    done = command("doctor", "-g", enrolled, "--json", "--check")
    assert (done.returncode, done.stderr) == (0, "")
    row, wanted = json.loads(done.stdout), diagnosis_row(examine(enrolled))
    timed = ("devices", "folders")  # milliseconds and sizes move
    assert row["faults"] == 0 and row["schema"] == wanted["schema"]
    assert [f for f in row["findings"] if f["part"] not in timed] == [
        f for f in wanted["findings"] if f["part"] not in timed
    ]
    assert command("doctor", "-g", enrolled).stdout.splitlines()[-1] == "no fault found"


def test_without_a_gallery_it_says_how_to_begin(command: Command) -> None:
    done = command("doctor", "--check")
    assert done.returncode == 0
    assert "nobody is enrolled yet" in done.stdout and "fix: facecli enroll PHOTOS" in done.stdout


def test_a_damaged_model_that_was_added(command: Command, own_home: Path, tmp_path: Path) -> None:
    (file := tmp_path / "grid.onnx").write_bytes(network())
    given = add.Preprocessing(ChannelOrder.RGB, mean=127.5, std=128.0, flip=False)
    added = add.add_model(file, given=given, licence="none")
    content = bytearray(added.path.read_bytes())
    content[len(content) // 2] ^= 1
    added.path.write_bytes(content)
    fault = only_fault(examine(), Part.MODELS, "grid")
    assert "damaged" in fault.detail and f"rm -r '{added.path.parent}'" in (fault.fix or "")
    assert command("doctor").returncode == 0
    done = command("doctor", "--check")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "1 fault"
    shutil.rmtree(added.path.parent)
    assert examine().faults == ()


def test_a_model_that_was_added_and_is_shipped_by_now(own_home: Path) -> None:
    """As `models add` of an earlier version left it: the publisher's file, described."""
    shipped = registry.find_embedder("sface")
    folder = own_home / "models" / "sface"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"OpenCV Zoo's")
    (folder / "model.toml").write_text(
        f'''[embedder."sface"]\nfile = "model.onnx"\nsha256 = "{shipped.published_sha256}"
input_size = 112\nchannel_order = "RGB"\nmean = 0.0\nstd = 1.0\ndimension = 128\nflip = true
preprocessing = 1\nlicence = "Apache-2.0"\ncommercial_use = true\nsource = "OpenCV Zoo"
centre = "sface.centre.json"\n'''
    )
    found = examine()
    note = one(found, Part.MODELS, "sface, as added")
    assert note.verdict is Verdict.NOTE and note.fix == f"rm -r '{folder}'"
    assert not [fault for fault in found.faults if fault.part is Part.MODELS]
    assert one(found, Part.MODELS, "sface").verdict is Verdict.OK


def test_damaged_weights_in_the_package(own_home: Path, tmp_path: Path) -> None:
    for folder in ("facecli", "models"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    name = registry.find_embedder(registry.DEFAULT_EMBEDDER).path.name
    os.truncate(tmp_path / "models" / name, 100_000)
    done = Command(own_home)("doctor", "--json", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    (fault,) = (f for f in json.loads(done.stdout)["findings"] if f["verdict"] == "fault")
    assert (fault["part"], fault["name"]) == ("models", "mobilefacenet-arcface")
    assert fault["fix"] == "pip install --force-reinstall --no-deps facecli"
    (device,) = (f for f in json.loads(done.stdout)["findings"] if f["part"] == "devices")
    assert device["detail"].startswith("not tried: ")


def test_a_description_that_cannot_be_read(own_home: Path) -> None:
    (folder := own_home / "models" / "mine").mkdir(parents=True)
    (folder / "model.toml").write_text("[embedder.mine\n")
    fault = only_fault(examine(), Part.MODELS, "descriptions")
    assert str(folder / "model.toml") in fault.detail


def test_a_gallery_cut_short(enrolled: Path) -> None:
    os.truncate(enrolled, enrolled.stat().st_size // 2)
    fault = only_fault(examine(enrolled), Part.GALLERY, "file")
    assert str(enrolled) in fault.detail and "backup" in (fault.fix or "")


def test_a_gallery_with_a_damaged_template(enrolled: Path) -> None:
    with sqlite3.connect(enrolled) as db:
        db.execute("UPDATE reference SET vector = zeroblob(length(vector))")
    fault = only_fault(examine(enrolled), Part.GALLERY, "file")
    assert "not a unit vector" in fault.detail


@pytest.mark.parametrize("content", [None, b"a letter to my aunt"])
def test_what_is_named_and_is_no_gallery(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "letter"
    if content:
        path.write_bytes(content)
    only_fault(examine(path), Part.GALLERY, "file")


def test_a_gallery_whose_embedder_is_not_here(tmp_path: Path) -> None:
    store = new_store(tmp_path / "g")
    store.add([reference("Ada", 1)])
    store.close()
    found = examine(tmp_path / "g")
    assert "made-up" in (only_fault(found, Part.GALLERY, "threshold").fix or "")
    assert one(found, Part.GALLERY, "file").verdict is Verdict.OK


@pytest.mark.skipif(os.name != "posix", reason="NOT CHECKED: no POSIX permissions here")
def test_a_gallery_that_others_may_read(enrolled: Path) -> None:
    assert "access" not in {f.name for f in examine(enrolled).checks}
    enrolled.chmod(0o644)
    found = one(examine(enrolled), Part.GALLERY, "access")
    assert (found.verdict, found.fix) == (Verdict.NOTE, f"chmod 600 '{enrolled}'")


def test_folders_that_cannot_be_written(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a file, where not even root can make one."""
    (file := tmp_path / "file").touch()
    monkeypatch.setenv("FACECLI_HOME", str(file / "home"))
    home, cache, *_ = examine().faults  # the default gallery lies there, too
    assert [f.name for f in (home, cache)] == ["home", "cache"]
    assert "FACECLI_HOME" in (home.fix or "") and str(file) in home.detail


def test_a_package_whose_library_is_missing(command: Command, tmp_path: Path) -> None:
    for module in ("cv2", "onnxruntime", "faiss"):
        path = broken_import(tmp_path / module, module)
        done = command("doctor", "--check", cwd=tmp_path, PYTHONPATH=path)
        assert done.returncode == 1, done.stderr
        (fault,) = (line for line in done.stdout.splitlines() if line.startswith("  fault"))
        assert module in fault and "libGL.so.1" in fault
        assert f"pip install --force-reinstall --no-deps {module.removesuffix('2')}" in (
            done.stdout.replace("opencv-python-headless", "cv").replace("faiss-cpu", "faiss")
        )


@pytest.mark.parametrize(
    ("rival", "module", "kept"),
    [("onnxruntime-gpu", "onnxruntime", "onnxruntime-gpu"),
     ("opencv-python", "cv2", "opencv-python-headless")],
)  # fmt: skip
def test_two_wheels_of_one_module(
    rival: str, module: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "site", rival, module)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    fault = only_fault(examine(), Part.RUNTIME, module)
    assert rival in fault.detail and "overwrite each other's files" in fault.detail
    assert (fault.fix or "").startswith("pip uninstall -y ") and rival in (fault.fix or "")
    assert (fault.fix or "").endswith(f"&& pip install {kept}")


def test_the_text_shows_every_finding_and_no_control_characters() -> None:
    checks = (
        Check(Part.RUNTIME, "python", Verdict.OK, "3.13"),
        Check(Part.GALLERY, "file", Verdict.FAULT, "bad\x1b[2J", "mend it"),
        Check(Part.EXTRAS, "heif", Verdict.NOTE, "no HEIC"),
    )
    text = diagnosis_text(Diagnosis(checks))
    lines = [line.split() for line in text.splitlines()]
    assert lines == [
        ["runtime"], ["python", "3.13"], ["gallery"], ["fault", "file", r"bad\x1b[2J"],
        ["fix:", "mend", "it"], ["extras"], ["note", "heif", "no", "HEIC"], [], ["1", "fault"],
    ]  # fmt: skip
    assert json.loads(formats.as_json(diagnosis_row(Diagnosis(checks))))["findings"][1] == {
        "part": "gallery", "name": "file", "verdict": "fault", "detail": "bad\x1b[2J",
        "fix": "mend it",
    }  # fmt: skip
