"""`facecli demo` as a new user sees it: in a process of its own, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from support.places import ROOT

from facecli.cli import demo
from facecli.common.errors import InputError, UsageError

NO_NETWORK = """
import socket

def refuse(*_):
    raise RuntimeError("the network was used")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.create_connection = refuse
"""


def facecli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`; both streams go into one pipe, as in `facecli ... 2>&1 | less`."""
    offline = folder / "offline"
    offline.mkdir(exist_ok=True)
    (offline / "sitecustomize.py").write_text(NO_NETWORK)
    return subprocess.run(
        [sys.executable, "-m", "facecli", *arguments],
        cwd=folder,
        env={
            "PATH": os.defpath,
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(offline), str(ROOT)]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the demo ran, and all that it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = facecli(folder, "demo", "here")
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def test_it_knows_the_one_and_not_the_other(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    done = facecli(
        folder, "identify", "here/again.jpg", "here/stranger.png", "--gallery",
        "here/gallery.facecli", "--json",
    )  # fmt: skip
    again, stranger = json.loads(done.stdout)
    assert (again["decision"], again["subject"]) == ("identified", "Grace Hopper")
    assert 0.9 < again["score"] < 0.99  # another shot, but not another face
    assert (stranger["decision"], stranger["subject"]) == ("unknown", None)
    assert stranger["score"] == pytest.approx(0.22, abs=0.05)
    assert stranger["candidates"][0]["subject"] == "Grace Hopper"


def test_the_guard_against_the_network_works(tmp_path: Path) -> None:
    facecli(tmp_path, "--version")  # writes the guard
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
    env = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path / "offline")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False)
    assert b"the network was used" in done.stderr


def test_its_commands_can_be_typed(shown: tuple[Path, str]) -> None:
    folder, text = shown
    commands = [line.removeprefix("$ facecli ") for line in text.splitlines() if line[:1] == "$"]
    assert [command.split()[0] for command in commands] == ["enroll", "identify", "threshold"]
    again = facecli(folder, *commands[0].split())
    assert again.stdout.startswith("enrolled 0, already there 1, skipped 0")


def test_both_streams_are_in_order_in_a_pipe(shown: tuple[Path, str]) -> None:
    _, text = shown
    landmarks = ["Two public-domain", "$ facecli enroll", "enrolled 1", "$ facecli identify",
                 "facecli: wrote", "unknown", "$ facecli threshold", "chosen for",
                 "Look at the pictures"]  # fmt: skip
    places = [text.index(words) for words in landmarks]
    assert places == sorted(places)


def test_it_leaves_annotated_pictures(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    for photo, picture in (("again.jpg", "again.jpg"), ("stranger.png", "stranger.jpg")):
        before = cv2.imread(str(folder / "here" / photo))
        after = cv2.imread(str(folder / "here" / "pictures" / picture))
        assert after.shape == before.shape
        changed = (cv2.absdiff(before, after).max(axis=2) > 60).mean()
        assert 0.005 < changed < 0.2, f"{picture}: {changed:.1%} of the pixels were drawn over"


def test_again_it_starts_over(shown: tuple[Path, str]) -> None:
    folder, text = shown
    assert facecli(folder, "demo", "here").stdout == text


def test_it_leaves_other_folders_alone(tmp_path: Path) -> None:
    kept = tmp_path / "photos" / "mine.jpg"
    kept.parent.mkdir()
    kept.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not empty"):
        demo.prepare(tmp_path)
    assert kept.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_people_enrolled_in_its_gallery_are_not_lost(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    enroll = ("enroll", "here/stranger.png", "-s", "Eileen Collins", "-g", "here/gallery.facecli")
    assert facecli(folder, *enroll).returncode == 0
    before = (folder / "here" / "gallery.facecli").read_bytes()
    done = facecli(folder, "demo", "here")
    assert (done.returncode, len(done.stdout.splitlines())) == (2, 1)
    assert "holds more than the demo's" in done.stdout
    assert (folder / "here" / "gallery.facecli").read_bytes() == before


@pytest.mark.parametrize("planted", [False, True])
def test_what_a_user_put_in_the_place_of_its_photos_is_not_lost(
    tmp_path: Path, planted: bool
) -> None:
    demo.prepare(tmp_path / "here")
    (tmp_path / "mine.jpg").write_bytes(b"mine")
    again = tmp_path / "here" / "again.jpg"
    again.unlink()
    if planted:
        again.symlink_to(tmp_path / "mine.jpg")
    else:
        again.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not the demo's"):
        demo.prepare(tmp_path / "here")
    assert again.read_bytes() == (tmp_path / "mine.jpg").read_bytes() == b"mine"


def test_a_missing_portrait_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo.PORTRAITS, "Nobody", ("no_such_package", "nobody.jpg"))
    with pytest.raises(InputError, match=r"pip install 'facecli\[demo\]'"):
        demo.portrait("Nobody")
