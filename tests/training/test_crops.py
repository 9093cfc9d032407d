"""Crops are the pipeline's, each photo is read once, and what is kept is used again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.galleries import blank, write_variants

from facecli.datasets.labels import LabelledPhoto, labelled
from facecli.recognition.pipeline import Extractor
from facecli.training import crops
from facecli.training.degrade import Look


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, Path]) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for name, portrait in portraits.items():
        write_variants(folder / name, portrait, 3)
    blank(folder / "Grace Hopper" / "nobody.png")
    return folder


@pytest.fixture(scope="module")
def photos(folder: Path) -> tuple[LabelledPhoto, ...]:
    return labelled([folder]).photos


def test_the_crop_s_template_is_the_pipeline_s(
    photos: tuple[LabelledPhoto, ...], extractor: Extractor
) -> None:
    found = crops.acquire(extractor, photos)
    assert len(found.photos) == 6 and [Path(f.path).name for f in found.failures] == ["nobody.png"]
    assert not found.degraded and found.good.any() and found.found.shape == (6, 0)
    for photo, crop in zip(found.photos, found.images, strict=True):
        wanted = extractor.photo(photo.path).faces[0].template.vector
        (made,) = extractor.embedder.embed(crop[None])
        assert float(made @ wanted) > 0.9999


def test_a_degraded_crop_is_cut_from_the_degraded_photo(
    photos: tuple[LabelledPhoto, ...], extractor: Extractor
) -> None:
    found = crops.acquire(extractor, photos, [Look(50, 20, 0, True)], seed=1)
    again = crops.acquire(extractor, photos[::-1], [Look(50, 20, 0, True)], seed=1)
    assert found.found.shape == (6, crops.LOOKS) and found.found.all() and found.degraded
    assert np.array_equal(found.views, again.views[::-1]), "the order decides nothing"
    assert (np.ptp(found.views[:, 1:].astype(int), axis=4) == 0).all(), "they are grey"
    assert (np.ptp(found.images.astype(int), axis=3) > 0).any()


def test_a_photo_is_degraded_in_several_ways(
    photos: tuple[LabelledPhoto, ...], extractor: Extractor
) -> None:
    looks = [Look(50, detail, 4, True) for detail in (10, 16, 24, 32)]
    found = crops.acquire(extractor, photos, looks)
    for views in found.views:
        assert len({view.tobytes() for view in views[1:]}) == crops.LOOKS, "noise differs at least"


def test_what_is_kept_is_not_read_again_and_what_is_damaged_is(
    photos: tuple[LabelledPhoto, ...], extractor: Extractor, tmp_path: Path
) -> None:
    path = tmp_path / "crops.npz"
    found = crops.acquire(extractor, photos)
    crops.write(found, path, "key")
    assert path.stat().st_mode & 0o777 == 0o600
    kept = crops.read(path, "key")
    assert set(kept) == set(found.sha256) and crops.read(path, "other") == {}

    class Blind:  # finds nothing: what comes out can only have been kept
        def detect(self, data: bytes, name: str) -> None:
            raise AssertionError(name)

    sound = [photo for photo in photos if photo.path.name != "nobody.png"]
    again = crops.acquire(Blind(), sound, kept=kept)  # type: ignore[arg-type]
    assert np.array_equal(again.images, found.images)
    path.write_bytes(path.read_bytes()[:1000])
    assert crops.read(path, "key") == {} and crops.read(tmp_path / "none", "key") == {}


def test_another_camera_s_look_is_measured_on_photos_that_show_a_face(
    folder: Path, photos: tuple[LabelledPhoto, ...], extractor: Extractor
) -> None:
    paths = [photo.path for photo in photos]
    assert len(crops.looks(extractor, paths, paths)) == 6
    assert crops.looks(extractor, [folder / "Grace Hopper" / "nobody.png"], paths) == ()
