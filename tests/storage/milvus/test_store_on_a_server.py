"""A server that is killed, or not there; a removal while others search."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from support.galleries import (
    DIMENSION,
    EMBEDDER,
    Command,
    collins,
    hopper,
    reference,
    unit_vector,
    write_variants,
)
from support.patience import LAST_RESORT
from support.server import Server

from facecli.common.errors import GalleryError
from facecli.datasets.labels import labelled
from facecli.gallery.enroll import EnrollItem, EnrollStatus
from facecli.gallery.gallery import Gallery
from facecli.storage import opening

pytestmark = pytest.mark.milvus


def test_killed_amid_an_enrolment_it_loses_nothing_acknowledged(server: Server, tmp_path: Path):
    write_variants(tmp_path / "p" / "Grace", hopper(), 40, width=160)
    write_variants(tmp_path / "p" / "Eileen", collins(), 40, width=160)
    photos = labelled([tmp_path / "p"], None).photos
    told: list[EnrollItem] = []

    def kill_after_a_commit(item: EnrollItem) -> None:
        told.append(item)
        if len(told) == 32:
            server.kill()

    started = time.monotonic()
    with (
        Gallery.open(server.address("killed"), create=True) as gallery,
        pytest.raises(GalleryError, match="no Milvus server answers"),
    ):
        gallery.enroll(photos, progress=kill_after_a_commit)
    waited = time.monotonic() - started
    server.stop()
    server.start()
    assert waited < LAST_RESORT / 2, "it is told in bounded time"
    assert len(told) == 32
    with Gallery.open(server.address("killed")) as gallery:
        there = {r.path for r in gallery.storage.reader.references()}
        assert {item.path for item in told} <= there
        again = gallery.enroll(photos)
        assert again.count(EnrollStatus.SKIPPED) == 0
        assert again.count(EnrollStatus.ALREADY) >= 32
        assert [(s.name, s.references) for s in gallery.storage.reader.subjects()] == [
            ("Eileen", 40),
            ("Grace", 40),
        ]
        assert gallery.storage.reader.faults() == []


def test_a_removal_is_never_answered_from_again(server: Server):
    address = server.address("removals")
    with (
        closing(opening.create_storage(address, EMBEDDER, DIMENSION)) as writer,
        closing(opening.open_storage(address)) as searcher,
    ):
        writer.add([reference(f"p{i}", i) for i in range(5)])
        ranker = searcher.reader.ranker(False, 0.5)
        for i in range(3):
            assert ranker.candidates(unit_vector(i), 1)[0].subject == f"p{i}"
            writer.remove(f"p{i}")
            assert ranker.candidates(unit_vector(i), 1)[0].subject != f"p{i}"
        info = searcher.reader.index(0.5)
        assert (info.agreed, info.asked) == (2, 2)


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("milvus://127.0.0.1:1/g", 4, "no Milvus server answers"),
        ("milvus://127.0.0.1:19530", 2, "is not the address"),
        ("milvus-lite:faces/g", 2, "ends in .db"),
    ],
)
def test_a_server_that_is_not_there_is_one_clear_line(
    tmp_path: Path, address: str, code: int, words: str
):
    done = Command(tmp_path)("gallery", "list", "--gallery", address)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
