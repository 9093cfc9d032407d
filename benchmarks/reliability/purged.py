"""What is left of people after `gallery purge`: their templates, names and paths, byte by byte.

The search here is its own: whole files, no part of facecli's verification.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from support.galleries import new_store, reference, unit_vector

from facecli import Gallery
from facecli.storage.interface import Group
from facecli.storage.search import candidates
from facecli.storage.sqlite.store import GalleryFile

PEOPLE, GONE = 3000, 300
PIECE = 16  # bytes of a template that nothing else can hold by chance


def rows() -> list[tuple[str, str]]:
    """The figures, each with what it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.facecli"
        with closing(new_store(path)) as store:
            store.add([reference(f"Somebody {i:04}", i) for i in range(PEOPLE)])
        with closing(GalleryFile.open(path)) as vault:
            candidates.SIDECAR_FROM = 1  # as in a gallery of 100,000
            vault.settle()
        before = _found(Path(folder))
        with Gallery.open(path) as gallery:
            for i in range(GONE):
                gallery.storage.remove(f"Somebody {i:04}")
            done = gallery.storage.erase(Group.REMOVED)
        after = _found(Path(folder))
    assert before and done.complete, "there was something to find, and facecli says it is gone"
    what = f"byte strings of {GONE} people found before and after purge, with a sidecar"
    return [(what, f"{before:,} and {after:,}")]


def _found(folder: Path) -> int:
    files = [file.read_bytes() for file in folder.iterdir()]
    found = 0
    for i in range(GONE):
        vector = unit_vector(i).tobytes()
        sought = [vector[at : at + PIECE] for at in range(0, len(vector), PIECE)]
        sought += [f"Somebody {i:04}".encode(), f"/{i}.jpg".encode()]
        found += sum(piece in data for piece in sought for data in files)
    return found


if __name__ == "__main__":
    print(rows())
