"""Clips of every kind that goes wrong: a row each, no crash, and the batch goes on."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from support import clips
from support.clips import walk
from support.sandbox import Facecli


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    grace = clips.grace()
    sound = clips.write(folder / "a-sound.mp4", walk(grace, 12, 0.3, 0.6))
    data = sound.read_bytes()
    avi = clips.write(folder / "b-cut.avi", walk(grace, 12, 0.3, 0.6), code="MJPG")
    avi.write_bytes(avi.read_bytes()[: avi.stat().st_size // 2])
    (folder / "c-zero.mp4").touch()
    (folder / "d-text.mp4").write_text("this is no clip\n" * 400)
    (folder / "e-head.mp4").write_bytes(data[:64])
    (folder / "f-noise.mp4").write_bytes(data[:32] + random.Random(0).randbytes(90_000))
    (folder / "g-playlist.mp4").write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n")
    (folder / "h-list.mp4").write_text("ffconcat version 1.0\nfile a-sound.mp4\n")
    clips.write(folder / "i-one.mp4", walk(grace, 1, 0.5, 0.5))
    clips.write(folder / "j-quick.mp4", [clips.frame(scenery=i) for i in range(60)], 100)
    turned = bytearray(data)
    for at in random.Random(1).sample(range(200, len(data) - 4000), 300):
        turned[at] ^= 1 << at % 8
    (folder / "k-turned.mp4").write_bytes(turned)
    clips.write(folder / "l-tiny.avi", [np.full((2, 2, 3), v, np.uint8) for v in (9, 99, 200)],
                code="MJPG")  # fmt: skip
    (folder / "m-100%d.mp4").write_bytes(data)  # no pattern for numbered pictures
    (folder / "z-sound.mp4").write_bytes(data)
    return folder


def test_every_bad_clip_has_its_row_and_the_batch_goes_on(
    facecli: Facecli, enrolled: Path, bad: Path
) -> None:
    done = facecli("identify", str(bad), "-g", str(enrolled), "--jsonl")
    assert done.code == 0 and not done.crashed, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(Path(row["path"]).name[0], []).append(row["decision"])
    assert "".join(sorted(found)) == "abcdefghijklmz"
    for name in "cdefgh":
        assert found[name] == ["failed"], name
    for name in "aimz":
        assert found[name] == ["identified"], name
    assert found["b"] == ["identified", "failed"] and found["j"] == ["no_face"]
    reasons = {Path(row["path"]).name[0]: row["reason"] for row in rows if row["reason"]}
    assert "which was looked at" in reasons["b"] and "no clip of a kind" in reasons["d"]
    assert [line for line in done.err.splitlines() if not line.startswith("facecli: ")] == []


@pytest.mark.slow
def test_an_8k_frame_fits_into_memory(facecli: Facecli, enrolled: Path, tmp_path: Path) -> None:
    large = [np.random.default_rng(i).integers(0, 255, (4320, 7680, 3), np.uint8) for i in range(2)]
    clip = clips.write(tmp_path / "x.avi", large, code="MJPG")
    done = facecli("identify", str(clip), "-g", str(enrolled), "--jsonl")
    assert done.code == 0 and json.loads(done.out)["decision"] == "no_face"
    assert done.rss < 1 << 30
