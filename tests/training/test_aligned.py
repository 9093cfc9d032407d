"""Aligned crops as files: a folder a person, called by their photo's hash, and nothing replaced."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
from support.galleries import blank, write_variants

from facecli.datasets.labels import LabelledPhoto, labelled
from facecli.recognition.pipeline import Extractor
from facecli.training import aligned
from facecli.training.crops import acquire


def test_each_photo_is_a_file_and_a_second_run_leaves_it(
    tmp_path: Path, portraits: dict[str, Path], extractor: Extractor
) -> None:
    write_variants(tmp_path / "in" / "Grace", portraits["Grace Hopper"], 2)
    blank(tmp_path / "in" / "Grace" / "nobody.png")
    photos = labelled([tmp_path / "in"]).photos
    out = tmp_path / "out"
    written, failures = aligned.write(extractor, photos, out)
    assert written == 2 and [Path(f.path).name for f in failures] == ["nobody.png"]
    (first, *_) = photos
    file = out / "Grace" / f"{hashlib.sha256(first.path.read_bytes()).hexdigest()}.png"
    assert np.array_equal(cv2.imread(str(file)), acquire(extractor, [first]).images[0])
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("mine")
    assert aligned.write(extractor, photos, out)[0] == 2 and file.read_text() == "mine"


def test_no_name_leads_out_of_the_folder(
    tmp_path: Path, portraits: dict[str, Path], extractor: Extractor
) -> None:
    out = tmp_path / "out"
    photos = [LabelledPhoto(portraits["Grace Hopper"], name) for name in ("../up", "..", "a/b")]
    aligned.write(extractor, photos, out)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert all(p.suffix == ".png" for p in out.glob("*/*")) and len(list(out.iterdir())) == 3
