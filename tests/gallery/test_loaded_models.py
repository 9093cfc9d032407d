"""Models are looked up when they are used, only for a gallery of theirs, and can be changed."""

from __future__ import annotations

import pytest

from facecli.common.enums import DetectorName, Device
from facecli.common.errors import EmbedderMismatchError, ModelError
from facecli.gallery.loaded_models import LoadedModels
from facecli.recognition.model_zoo import registry


def models(embedder: str, require) -> LoadedModels:
    return LoadedModels(embedder, require, Device.AUTO, DetectorName.YUNET)


def test_a_model_that_is_not_there_is_missed_when_it_is_used() -> None:
    missing = models("made-up", pytest.fail)
    for use in ("spec", "extractor", "lone_extractor", "reference_table"):
        with pytest.raises(ModelError, match="made-up"):
            getattr(missing, use)


def test_the_gallery_is_asked_once_whether_it_is_this_model_s() -> None:
    asked: list[str] = []
    shipped = models(registry.DEFAULT_EMBEDDER, asked.append)
    assert shipped.reference_table is not None
    assert shipped.spec.name == registry.DEFAULT_EMBEDDER
    assert asked == [shipped.spec.embedder_id]


def test_nothing_is_kept_of_another_gallery_s_model() -> None:
    def refuse(embedder_id: str) -> None:
        raise EmbedderMismatchError(embedder_id)

    foreign = models(registry.DEFAULT_EMBEDDER, refuse)
    for _ in range(2):
        with pytest.raises(EmbedderMismatchError):
            foreign.extractor  # noqa: B018 (it is loaded here)


def test_another_embedder_takes_the_place_of_the_first_whole() -> None:
    changed = models(registry.DEFAULT_EMBEDDER, lambda embedder_id: None)
    assert changed.reference_table is not None
    changed.take("made-up")
    for use in ("spec", "extractor", "lone_extractor", "reference_table"):
        with pytest.raises(ModelError, match="made-up"):
            getattr(changed, use)
