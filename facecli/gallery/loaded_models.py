"""An open gallery with the models that made it, loaded when a photo or a table needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from facecli.common.enums import DetectorName, Device
from facecli.common.parallel import processors
from facecli.gallery.people import People
from facecli.metrics import reference_table
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor, Run
from facecli.storage.interface import Storage, require_embedder
from facecli.threshold import situation
from facecli.threshold.operating_point import Situation


class Equipped(People):
    """What `gallery.Gallery` does its work with."""

    def __init__(
        self, store: Storage, model: str | None, device: Device, detector: DetectorName
    ) -> None:
        super().__init__(store)
        self._model = model
        self._device = device
        self._detector = detector

    @cached_property
    def _spec(self) -> registry.EmbedderSpec:
        """Looked up when a photo or a table needs it: people can be removed without the model."""
        spec = registry.find_embedder(self._model or self._store.reader.embedder_id.split(":")[0])
        require_embedder(self._store, spec.embedder_id)
        return spec

    @cached_property
    def extractor(self) -> Extractor:
        """The one path from photos to templates, loaded when first used."""
        return Extractor.load(self._spec, self._device, self._detector)

    @cached_property
    def _lone_extractor(self) -> Extractor:
        """The same for a photo by itself, which gets all processors."""
        return Extractor.load(self._spec, self._device, self._detector, processors())

    @cached_property
    def built_in_table(self) -> ReferenceTable | None:
        """The embedder's reference table; None where it ships none."""
        return reference_table.load(self._spec.table) if self._spec.table else None

    def _take(self, model: str) -> None:
        """Go on with another embedder."""
        self._model = model
        for stale in ("_spec", "extractor", "_lone_extractor", "built_in_table"):
            self.__dict__.pop(stale, None)

    def _situation(self) -> Situation:
        return situation.of(self._store, self.built_in_table)

    @contextmanager
    def _run(self, scheduler: str | None, workers: int | None) -> Iterator[Run]:
        """Where photos are worked on: threads here, or a cluster that loads its own models."""
        if scheduler is None:
            yield self.extractor.on(workers)
            return
        from facecli.recognition import distributed

        recipe = distributed.Recipe(
            self._spec.name, self._spec.embedder_id, self._device, self._detector
        )
        with distributed.over(scheduler, recipe, workers) as run:
            yield run
