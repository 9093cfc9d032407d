"""Who is in a gallery: listed, renamed, merged, removed, exported, checked. No model is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facecli import exchange, plugins
from facecli.errors import UsageError
from facecli.layouts import name_fault
from facecli.records import ReferenceRow, SubjectRow, Subjects
from facecli.store import Store


class People:
    """The verbs that concern the people of an open gallery; `gallery.Gallery` adds the photos."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def subjects(self) -> tuple[SubjectRow, ...]:
        """Everyone enrolled, by name."""
        return self._store.subjects()

    def references(self, subject: str) -> tuple[ReferenceRow, ...]:
        """One subject's references. Raises GalleryError when nobody is called so."""
        return tuple(self._store.references(self._store.find(subject).id))

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name.

        Raises GalleryError when that one is taken, UsageError when it cannot be a name.
        """
        if fault := name_fault(new):
            raise UsageError(f"{new!r}: {fault}")
        self._store.rename(old, new)

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many."""
        return self._store.merge(source, target)

    def remove(self, subject: str) -> int:
        """Delete a subject with all references; returns how many."""
        return self._store.remove(subject)

    def remove_reference(self, subject: str, reference_id: int) -> int:
        """Delete one reference, and the subject with its last; returns how many it keeps."""
        return self._store.remove_reference(subject, reference_id)

    def export(self, path: Path) -> int:
        """Write every reference to a portable file; returns how many. See `exchange.export`."""
        return exchange.export(self._store, path)

    def import_(self, path: Path) -> int:
        """Add what another gallery exported; returns how many were new."""
        return exchange.import_(self._store, path)

    def check(self) -> list[str]:
        """What is wrong with the gallery, a line each: the file, the vectors, the index."""
        if faults := self._store.check():
            return faults
        return _index_faults(self._store.templates())


def _index_faults(subjects: Subjects) -> list[str]:
    """Compare the search index with plain arithmetic on a sample of the templates."""
    if not subjects.ids:
        return []
    index: plugins.Index = plugins.load("facecli.indexes", "flat")(subjects.templates)
    probes = subjects.templates[:: max(1, len(subjects.ids) // 100)]
    scores, _ = index.search(probes, 1)
    if np.allclose(scores[:, 0], (probes @ subjects.templates.T).max(axis=1), atol=1e-5):
        return []
    return ["the search index disagrees with the stored templates"]
