"""`facecli watch`: a row for everybody, an end by signal with who is on screen, what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support import clips
from support.cameras import Camera, running, wait_for
from support.clips import frame, walk
from support.galleries import Command, environment, hopper


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def gallery(command: Command, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gallery") / "g"
    done = command("enroll", hopper(), "--subject", "Grace Hopper", "-g", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.slow
def test_who_left_is_a_row_and_who_is_there_at_the_end_is_another(
    command: Command, gallery: Path, tmp_path: Path
):
    grace = walk(clips.grace(), 30, 0.3, 0.5)
    camera = Camera(
        [grace + [frame(scenery=i) for i in range(40)] + walk(clips.eileen(), 900, 0.5, 0.6)]
    )
    words = [str(w) for w in command.arguments(
        "watch", "SOURCE", "-g", gallery, "--jsonl", "--annotate", tmp_path / "faces")]  # fmt: skip
    with running(camera):
        words[words.index("SOURCE")] = camera.address.replace("://", "://me:secret@")
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(command.home),
        )  # fmt: skip
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())  # while it runs
        wait_for(lambda: camera.sent > 100)
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    (last,) = [json.loads(line) for line in rest.splitlines()]
    assert (first["subject"], last["subject"]) == ("Grace Hopper", None)
    assert last["decision"] == "unknown" and first["track"] == 0 and last["track"] == 1
    assert first["path"] == camera.address and "secret" not in errors + rest
    assert first["start_time"] < first["end_time"] < last["start_time"] and "T" in first["end_time"]
    assert errors == f"facecli: {camera.address} is there\n"
    assert len(list((tmp_path / "faces").iterdir())) == 2


@pytest.mark.slow
def test_people_see_lines_come_and_it_ends_by_itself(command: Command, gallery: Path):
    camera = Camera([walk(clips.grace(), 600, 0.3, 0.5)])
    with running(camera):
        done = command("watch", camera.address, "-g", gallery, "--longest", "1", "--for", "6")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) >= 2
    assert all("Grace Hopper" in line and "Z-" in line for line in lines)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cvlc") is None, reason="NOT CHECKED: VLC (cvlc) is missing")
def test_a_real_rtsp_server_is_watched_lost_and_found_again(command: Command, gallery: Path):
    """VLC's, of a person who stays, killed and started again."""
    with TemporaryDirectory() as open_to_all, socket.socket() as free:
        Path(open_to_all).chmod(0o755)  # VLC does not run as root
        clip = clips.write(Path(open_to_all) / "x.mp4", walk(clips.grace(), 300, 0.3, 0.5), 25)
        free.bind(("127.0.0.1", 0))
        address = f"rtsp://127.0.0.1:{free.getsockname()[1]}/camera"
        free.close()
        words = [
            "cvlc",
            "--quiet",
            "--loop",
            clip,
            "--sout-keep",
            "--sout",
            f"#rtp{{sdp={address}}}",
        ]

        def server() -> subprocess.Popen[bytes]:
            user = "nobody" if os.geteuid() == 0 else None
            return subprocess.Popen(words, stderr=subprocess.DEVNULL, user=user)

        vlc = server()
        watching = subprocess.Popen(
            command.arguments("watch", address, "-g", gallery, "--jsonl",
                              "--longest", "1", "--silence", "2"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(command.home),
        )  # fmt: skip
        assert watching.stdout is not None and watching.stderr is not None
        try:
            errors = iter(watching.stderr)
            assert any(line.endswith(" is there\n") for line in errors)  # VLC may listen late
            rows = [json.loads(watching.stdout.readline())]
            vlc.kill()
            vlc.wait()
            vlc = server()
            assert "was lost; trying again in 1 s" in next(errors)
            assert any(line.endswith(" is there\n") for line in errors)
            while len(rows) < 2 or rows[-1]["start"] - rows[-2]["end"] < 1:  # the pause at least
                rows.append(json.loads(watching.stdout.readline()))
            watching.send_signal(signal.SIGTERM)
            watching.communicate(timeout=120)
        finally:
            vlc.kill()
            vlc.wait()
    assert watching.returncode == 0
    assert {row["subject"] for row in rows} == {"Grace Hopper"}
    assert {row["path"] for row in rows} == {address}


@pytest.mark.parametrize("source", ["clip.mp4", "file:///etc/passwd"])
def test_a_file_is_refused(command: Command, gallery: Path, source: str):
    done = command("watch", source, "-g", gallery)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no camera" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_gallery_in_trouble_shows_at_once(command: Command, tmp_path: Path):
    done = command("watch", "http://127.0.0.1:9/x", "-g", tmp_path / "gone")
    assert (done.returncode, done.stdout) == (4, "")
