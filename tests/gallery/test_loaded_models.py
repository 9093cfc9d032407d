"""Models are looked up when they are used, only for a gallery of theirs, and can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.galleries import new_store

from facecli.common.enums import DetectorName, Device
from facecli.common.errors import EmbedderMismatchError, ModelError
from facecli.gallery.loaded_models import LoadedModels
from facecli.recognition.model_zoo import registry
from facecli.storage.sqlite.store import GalleryFile

USES = ("spec", "extractor", "lone_extractor", "measured")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[GalleryFile]:
    """A gallery of the shipped embedder."""
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    path = tmp_path / "g"
    with closing(GalleryFile.create(path, spec.embedder_id, spec.dimension)) as file:
        yield file


def models(embedder: str, storage: GalleryFile) -> LoadedModels:
    return LoadedModels(embedder, storage, Device.AUTO, DetectorName.YUNET)


def test_a_model_that_is_not_there_is_missed_when_it_is_used(own: GalleryFile) -> None:
    missing = models("made-up", own)
    for use in USES:
        with pytest.raises(ModelError, match="made-up"):
            getattr(missing, use)


def test_the_gallery_s_own_model_is_found(own: GalleryFile) -> None:
    shipped = models(registry.DEFAULT_EMBEDDER, own)
    assert shipped.measured.table is not None and shipped.measured.shape is None
    kinds = shipped.measured.kinds
    assert kinds.crowding == shipped.measured.table.crowding
    assert kinds.children == shipped.spec.small_children() is not None
    assert shipped.spec.embedder_id == own.reader.embedder_id


def test_nothing_is_kept_of_another_gallery_s_model(tmp_path: Path) -> None:
    with closing(new_store(tmp_path / "foreign")) as foreign:
        another = models(registry.DEFAULT_EMBEDDER, foreign)
        for _ in range(2):
            with pytest.raises(EmbedderMismatchError):
                another.extractor  # noqa: B018 (it is loaded here)


def test_another_embedder_takes_the_place_of_the_first_whole(own: GalleryFile) -> None:
    changed = models(registry.DEFAULT_EMBEDDER, own)
    assert changed.measured.table is not None
    changed.take("made-up")
    for use in USES:
        with pytest.raises(ModelError, match="made-up"):
            getattr(changed, use)
