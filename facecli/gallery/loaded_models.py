"""The models that photos of a gallery are worked on with, each loaded when it is first used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from facecli.common.enums import DetectorName, Device
from facecli.common.parallel import processors
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor, Run
from facecli.storage.interface import Storage, require_embedder
from facecli.threshold.operating_point import Measured


class LoadedModels:
    """An embedder with its reference table, and a detector.

    Nothing is looked up before it is used: people can be removed without the model.
    embedder: its name. storage: the gallery that it must have made.
    detector: what finds the faces, with either the same.
    """

    def __init__(
        self, embedder: str, storage: Storage, device: Device, detector: DetectorName
    ) -> None:
        self._embedder = embedder
        self._storage = storage
        self.device = device
        self.detector = detector

    @cached_property
    def spec(self) -> EmbedderSpec:
        """The embedder's description.

        Raises ModelError when it is not there, EmbedderMismatchError when the gallery is another's.
        """
        spec = registry.find_embedder(self._embedder, self._storage.reader.embedder_id)
        require_embedder(self._storage, spec.embedder_id)
        return spec

    @cached_property
    def extractor(self) -> Extractor:
        """The one path from photos to templates."""
        return Extractor.load(self.spec, self.device, self.detector)

    @cached_property
    def lone_extractor(self) -> Extractor:
        """The same for a photo by itself, which gets all processors."""
        return Extractor.load(self.spec, self.device, self.detector, processors())

    @cached_property
    def measured(self) -> Measured:
        """What was measured of the embedder."""
        return Measured.of(self.spec)

    def take(self, embedder: str) -> None:
        """Go on with another embedder, once the gallery is that one's."""
        self._embedder = embedder
        for stale in ("spec", "extractor", "lone_extractor", "measured"):
            self.__dict__.pop(stale, None)

    @contextmanager
    def run(self, scheduler: str | None, workers: int | None) -> Iterator[Run]:
        """What works on photos: threads here, or a cluster that loads the same models itself.

        scheduler: as for `Gallery.enroll`. Raises SchedulerError where its workers are not there.
        """
        if scheduler is None:
            yield self.extractor.on_threads(workers)
            return
        from facecli.recognition import distributed

        spec = self.spec
        recipe = distributed.Recipe(spec.name, spec.embedder_id, self.device, self.detector)
        with distributed.over(scheduler, recipe, workers) as run:
            yield run
