"""The scans against brute force, and the sidecar against time, damage, removal and company."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.galleries import (
    DIMENSION,
    draft_left_by_a_kill,
    environment,
    hopper,
    new_store,
    reference,
    unit_vector,
)
from support.patience import LAST_RESORT

from facecli import Gallery
from facecli.common import atomic
from facecli.common.enums import IndexKind
from facecli.common.types import Face, FaceTemplate, Float32, Template
from facecli.datasets.labels import LabelledPhoto
from facecli.metrics.face_kinds import NO_KINDS
from facecli.report import people
from facecli.storage.records import NewReference, Seal
from facecli.storage.search import candidates, ranker, sidecar
from facecli.storage.search.quantised import Quantised, ranges
from facecli.storage.search.ranker import FileRanker
from facecli.storage.search.sidecar import ScanKind, Sidecar
from facecli.storage.sqlite.store import GalleryFile
from facecli.threshold import operating_point

EMBEDDER = "made-up:0123456789abcdef:p1-00000000"
KINDS = pytest.mark.parametrize("kind", list(ScanKind))


@pytest.fixture(autouse=True)
def small_counts_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that galleries of some hundreds have a sidecar, which falls behind after ten."""
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    monkeypatch.setattr(candidates, "tail_limit", lambda count: 10)


def units(count: int, dimension: int, seed: int) -> Float32:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def person(name: str, vector: Float32) -> NewReference:
    points = np.zeros((5, 2), np.float32)
    found = FaceTemplate(Face((0, 0, 9, 9), points, 0.9, 0.8), Template(vector, EMBEDDER))
    return NewReference(name, found, f"{hash(name) & 2**64 - 1:064x}", 0, f"{name}.jpg")


def gallery(path: Path, templates: Float32) -> GalleryFile:
    store = GalleryFile.create(path, EMBEDDER, templates.shape[1])
    store.add([person(f"S{i:05}", vector) for i, vector in enumerate(templates)])
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GalleryFile]:
    """600 made-up people, the i-th called S0000i with `unit_vector(i)`."""
    opened = new_store(tmp_path / "g.facecli")
    opened.add([reference(f"S{i:05}", i) for i in range(600)])
    yield opened
    opened.close()


def brute_force(store: GalleryFile, probe: Float32, k: int) -> list[tuple[int, float]]:
    """Ids and scores of everybody from the stored templates, the best k."""
    everybody = store.reader.templates()
    scores = (everybody.templates.astype(float) @ probe.astype(float)).astype(np.float32)
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], everybody.ids[i]))
    return [(everybody.ids[i], float(scores[i])) for i in order[:k]]


def best(store: GalleryFile, found: FileRanker, probe: Float32, k: int) -> list[tuple[int, float]]:
    with store.reader.snapshot():
        return [(r.id, r.score) for r in found.best(probe, k)]


def names(store: GalleryFile, found: FileRanker, probe: Float32, k: int = 3) -> list[str]:
    with store.reader.snapshot():
        return [r.name for r in found.best(probe, k)]


# against brute force -------------------------------------------------------------------------


@pytest.mark.slow
@given(
    count=st.integers(1, 400), dimension=st.sampled_from([4, 16, 33, 64]),
    seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), spread=st.sampled_from([0, 0.05, 1]),
)  # fmt: skip
def test_exact_is_brute_force_on_crowds_clusters_and_doubles(
    tmp_path_factory: pytest.TempPathFactory,
    count: int, dimension: int, seed: int, k: int, spread: float,
) -> None:  # fmt: skip
    """spread 0: everybody has one of three templates; 0.05: nearly."""
    noise, three = units(count, dimension, seed), units(3, dimension, seed + 1)
    mixed = three[np.arange(count) % 3] + np.float32(spread) * noise
    templates = noise if spread == 1 else mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    opened = gallery(tmp_path_factory.mktemp("g") / "g.facecli", templates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "PROPOSED_BOUNDED", 2)  # so that the bound has work to do
        found = FileRanker.open(opened.reader, exact=True)
        for probe in (*units(3, dimension, seed + 2), templates[0], three[1]):
            assert best(opened, found, probe, k) == brute_force(opened, probe, k)
    opened.close()


def test_small_galleries_are_searched_without_faiss_and_exactly(
    store: GalleryFile, tmp_path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from facecli.storage.sqlite.store import GalleryFile\n"
        "from facecli.storage.search.ranker import FileRanker\n"
        "from support.galleries import unit_vector\n"
        "store = GalleryFile.open(Path(sys.argv[1])); ranking = FileRanker.open(store.reader)\n"
        "with store.reader.snapshot():\n"
        "    print([(r.id, r.score) for r in ranking.best(unit_vector(9000), 5)])\n"
        "print([m for m in ('faiss', 'scipy', 'sqlite_utils') if m in sys.modules])"
    )
    printed = start(code, tmp_path, store.path).communicate(timeout=LAST_RESORT)[0].splitlines()
    assert printed == [str(brute_force(store, unit_vector(9000), 5)), "[]"]
    assert not any(sidecar.path(store.path, kind).exists() for kind in ScanKind)


def test_rabitq_finds_the_mated_and_scores_them_truly(store: GalleryFile) -> None:
    found = FileRanker.open(store.reader)
    for i in range(0, 600, 20):
        probe = unit_vector(i) + 1.2 * unit_vector(7000 + i)
        probe = (probe / np.linalg.norm(probe)).astype(np.float32)
        assert best(store, found, probe, 1) == brute_force(store, probe, 1)


def test_rabitq_proposes_more_where_the_threshold_is_loose(store: GalleryFile, monkeypatch) -> None:
    monkeypatch.setattr(candidates, "PROPOSED_LEAST", 5)
    probes = [unit_vector(20_000 + i) for i in range(20)]
    few, all_ = (
        FileRanker.open(store.reader, threshold=0.9),
        FileRanker.open(store.reader, threshold=-1),
    )
    assert all(best(store, all_, p, 5) == brute_force(store, p, 5) for p in probes)
    assert any(best(store, few, p, 5) != brute_force(store, p, 5) for p in probes)


@pytest.mark.slow
def test_rabitq_s_error_is_as_stated() -> None:
    """Three in 100,000 are off by more than four standard errors; here none of 3,000 is by five."""
    for dimension in (64, 192):
        templates = units(3000, dimension, 1)
        noise = units(3000, dimension, 2)
        noise -= np.sum(noise * templates, axis=1, keepdims=True) * templates
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        probes = 0.6 * templates + 0.8 * noise
        index = Quantised.rabitq(templates)
        index.add(templates)
        scores, rows = index.search(probes, 3000)
        own = scores[rows == np.arange(3000)[:, None]]
        off = np.abs(own - 0.6) / candidates.rabitq_error(0.6, dimension)
        assert off.max() < 5 and 0.8 < np.sqrt(np.mean(off**2)) < 1.2


@pytest.mark.parametrize("exact", [False, True])
def test_equal_subjects_come_in_the_order_they_were_enrolled(tmp_path: Path, exact: bool) -> None:
    twins = np.repeat(units(40, 16, 0), 5, axis=0)
    opened = gallery(tmp_path / "g.facecli", twins)
    found = FileRanker.open(opened.reader, exact)
    assert names(opened, found, twins[5], 5) == [f"S{i:05}" for i in range(5, 10)]
    opened.close()


@pytest.mark.parametrize("exact", [False, True])
def test_more_candidates_than_subjects(tmp_path: Path, exact: bool) -> None:
    opened = gallery(tmp_path / "g.facecli", units(3, 16, 0))
    assert len(best(opened, FileRanker.open(opened.reader, exact), units(1, 16, 1)[0], 50)) == 3
    opened.close()


@pytest.mark.parametrize("shape", ["crowd", "lines", "spikes"])
def test_the_8_bit_bound_holds_for_every_row(shape: str) -> None:
    """spikes: one value a row is 1; lines: values sit on the edges of the steps."""
    if shape == "crowd":
        templates = units(3000, 48, 1)
    elif shape == "spikes":
        templates = np.eye(48, dtype=np.float32)[np.arange(3000) % 48]
    else:
        steps = np.random.default_rng(0).integers(0, 256, (3000, 48))
        templates = (steps / 255 * 0.28 - 0.14).astype(np.float32)
    index = Quantised.eight_bit(*ranges([templates[:1000], templates[1000:]]))
    index.add(templates)
    for probe in units(50, 48, 2):
        scores, rows = index.search(probe[None], len(templates))
        true = templates[rows[0]].astype(float) @ probe.astype(float)
        assert np.abs(true - scores[0]).max() <= index.slack(probe)
        assert index.slack(probe) < 0.1, "a bound that bounds nothing"


@pytest.mark.parametrize("dimension", [48, 192])
def test_the_8_bit_bound_is_reached_and_no_wider(dimension: int) -> None:
    """Values just above an edge of their step where the probe is negative, just below the next one
    where it is positive: each is off by half a step, and all to the same side."""
    rng = np.random.default_rng(3)
    low = -rng.uniform(0.1, 0.3, dimension).astype(np.float32)
    high = rng.uniform(0.1, 0.3, dimension).astype(np.float32)
    index = Quantised.eight_bit(low, high)
    probe = units(1, dimension, 4)[0]
    within = np.where(probe > 0, 0.999, 0.001)
    steps = (rng.integers(0, 255, (500, dimension)) + within) / 255
    templates = (low + steps * (high - low)).astype(np.float32)
    index.add(templates)
    scores, rows = index.search(probe[None], len(templates))
    true = templates[rows[0]].astype(float) @ probe.astype(float)
    slack, rounding = index.slack(probe), 2 * dimension * 2.0**-23
    error = np.abs(true - scores[0])
    assert error.max() <= slack
    assert error.min() >= 0.99 * (slack - rounding)
    assert index.slack(np.zeros(dimension, np.float32)) == pytest.approx(rounding, rel=1e-12)
    assert slack - rounding == pytest.approx(np.abs(probe) @ (high - low) / 255 / 2, rel=1e-5)


def test_a_search_takes_one_thread_and_gives_faiss_its_threads_back() -> None:
    faiss = pytest.importorskip("faiss")
    taken: list[int] = []

    class Watched:
        """An index that notes how many threads it may take."""

        def search(self, probes: Float32, k: int) -> tuple[Float32, Float32]:
            taken.append(faiss.omp_get_max_threads())
            return probes, probes

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        Quantised(Watched()).search(units(1, 8, 0), 1)
        assert (taken, faiss.omp_get_max_threads()) == ([1], 3)
    finally:
        faiss.omp_set_num_threads(before)


# in step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [False, True])
def test_who_comes_changes_and_goes_is_followed_by_an_open_search(
    store: GalleryFile, exact: bool
) -> None:
    found = FileRanker.open(store.reader, exact)
    other = GalleryFile.open(store.path)
    other.add([reference("new", 5000)])
    assert names(store, found, unit_vector(5000), 1) == ["new"]
    other.add([reference("S00007", 5001)])  # a second reference moves its template
    mean = unit_vector(7) + unit_vector(5001)
    probe = (mean / np.linalg.norm(mean)).astype(np.float32)
    assert best(store, found, probe, 1)[0] == (8, pytest.approx(1, abs=1e-6))
    other.rename("S00009", "Ada")
    assert names(store, found, unit_vector(9), 1) == ["Ada"]
    other.remove("S00010")
    other.merge("S00011", "S00012")
    for gone in (10, 11):
        assert not {"S00010", "S00011"} & set(names(store, found, unit_vector(gone), 600))
    for seed in (5000, 9, 10, 11, 12, 6000):
        assert best(store, found, unit_vector(seed), 600 if exact else 1) == brute_force(
            store, unit_vector(seed), 600 if exact else 1
        )
    other.close()


@KINDS
def test_a_tail_is_scanned_until_it_is_long(store: GalleryFile, kind: ScanKind) -> None:
    exact = kind is ScanKind.EIGHT
    FileRanker.open(store.reader, exact)
    made = sidecar.peek(store.path, kind)
    for i in range(3):
        store.add([reference(f"new {i}", 5000 + i)])
    assert names(store, FileRanker.open(store.reader, exact), unit_vector(5001), 1) == ["new 1"]
    assert sidecar.peek(store.path, kind) == made, "a short tail asks for no new sidecar"
    for i in range(3, 20):
        store.add([reference(f"new {i}", 5000 + i)])
    assert names(store, FileRanker.open(store.reader, exact), unit_vector(5013), 1) == ["new 13"]
    anew = sidecar.peek(store.path, kind)
    assert made is not None and anew is not None
    assert (anew.count, anew.seal) == (620, store.reader.seal())


def test_enrolment_leaves_no_search_to_wait(store: GalleryFile) -> None:
    assert candidates.index_info(store.reader).kind is IndexKind.MISSING
    candidates.keep_in_step(store.reader)
    info = candidates.index_info(store.reader)
    assert (info.kind, info.tail) == (IndexKind.SIDECAR, 0)
    assert info.path is not None and info.bytes == info.path.stat().st_size
    assert 0.9 * info.asked <= info.agreed <= info.asked == candidates.PROBES
    store.add([reference("new", 5000)])
    candidates.keep_in_step(store.reader)
    assert candidates.index_info(store.reader).tail == 1


def test_many_removals_ask_for_a_new_sidecar(store: GalleryFile) -> None:
    FileRanker.open(store.reader)
    for i in range(30):
        store.remove(f"S{i:05}")
    assert candidates.index_info(store.reader).kind is IndexKind.MISSING
    assert names(store, FileRanker.open(store.reader), unit_vector(40), 1) == ["S00040"]


@KINDS
def test_a_restored_older_gallery_does_not_trust_a_newer_sidecar(
    store: GalleryFile, tmp_path: Path, kind: ScanKind
) -> None:
    exact = kind is ScanKind.EIGHT
    backup = GalleryFile.create(tmp_path / "backup", EMBEDDER, DIMENSION)
    store._db.backup(backup._db)
    backup.close()
    store.add([reference("later", 5000)])
    FileRanker.open(store.reader, exact)
    store.close()
    for log in ("-wal", "-shm"):
        (tmp_path / f"g.facecli{log}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup", tmp_path / "g.facecli")
    restored = GalleryFile.open(tmp_path / "g.facecli")
    header = sidecar.peek(restored.path, kind)
    assert header is not None and not restored.reader.has_seal(header.seal)
    restored.add([reference("instead", 6000)])  # the same revision, another token
    assert restored.reader.seal().revision == header.seal.revision
    assert not restored.reader.has_seal(header.seal)
    found = FileRanker.open(restored.reader, exact)
    assert names(restored, found, unit_vector(6000), 1) == ["instead"]
    assert "later" not in names(restored, found, unit_vector(5000), 601)
    restored.close()


def test_a_gallery_from_before_there_were_sidecars_gets_one(store: GalleryFile) -> None:
    """Its subjects carry the revision 0, its log begins with the revision it had."""
    store._db.execute("UPDATE subject SET revision = 0")
    FileRanker.open(store.reader)
    assert candidates.index_info(store.reader).kind is IndexKind.SIDECAR
    store.add([reference("new", 5000)])
    assert names(store, FileRanker.open(store.reader), unit_vector(5000), 1) == ["new"]


# damage --------------------------------------------------------------------------------------


def damaged(whole: bytes, seed: int) -> bytes:
    draw = random.Random(seed)
    at = draw.choice([draw.randrange(100), draw.randrange(len(whole))])
    if seed % 3 == 0:
        return whole[:at]
    if seed % 3 == 1:
        return whole + b"\0"
    flipped = bytearray(whole)
    flipped[at] ^= 1 << draw.randrange(8)
    return bytes(flipped)


@KINDS
def test_a_broken_sidecar_is_made_anew_without_a_word(
    store: GalleryFile, kind: ScanKind, capfd
) -> None:
    exact = kind is ScanKind.EIGHT
    FileRanker.open(store.reader, exact)
    file = sidecar.path(store.path, kind)
    whole, seal = file.read_bytes(), store.reader.seal()
    for seed in range(60):
        file.write_bytes(damaged(whole, seed))
        assert sidecar.read_sidecar(store.path, kind, seal) is None, seed
        if seed % 10 == 0:
            found = FileRanker.open(store.reader, exact)
            assert names(store, found, unit_vector(seed), 1) == [f"S{seed:05}"]
            assert sidecar.read_sidecar(store.path, kind, seal) is not None, "it was not made anew"
    assert capfd.readouterr() == ("", "")


@KINDS
def test_another_gallery_s_sidecar_is_not_used(
    store: GalleryFile, tmp_path: Path, kind: ScanKind
) -> None:
    exact = kind is ScanKind.EIGHT
    other = gallery(tmp_path / "other", units(600, DIMENSION, 4))
    FileRanker.open(other.reader, exact)
    shutil.copy(sidecar.path(other.path, kind), sidecar.path(store.path, kind))
    assert names(store, FileRanker.open(store.reader, exact), unit_vector(3), 1) == ["S00003"]
    another = next(k for k in ScanKind if k is not kind)
    shutil.copy(sidecar.path(store.path, kind), sidecar.path(store.path, another))
    assert sidecar.peek(store.path, another) is None
    other.close()


def test_bytes_that_faiss_cannot_read_are_made_anew(store: GalleryFile) -> None:
    """A sound seal around what another FAISS wrote."""
    rubbish = np.frombuffer(b"IxZZ" + bytes(400), np.uint8)
    sidecar.write_sidecar(
        store.path,
        Sidecar(ScanKind.RABITQ, DIMENSION, store.reader.seal(), np.arange(1, 601), rubbish, 0, 0),
    )
    assert names(store, FileRanker.open(store.reader), unit_vector(3), 1) == ["S00003"]


def test_where_nothing_can_be_written_it_does_without(store: GalleryFile) -> None:
    for kind in ScanKind:
        (sidecar.path(store.path, kind) / "in the way").mkdir(parents=True)
    for exact in (False, True):
        found = FileRanker.open(store.reader, exact)
        assert names(store, found, unit_vector(3), 1) == ["S00003"]
    candidates.keep_in_step(store.reader)
    assert candidates.index_info(store.reader).kind is IndexKind.MISSING
    assert [p for p in store.path.parent.iterdir() if ".sidecar-" in p.name] == []


@KINDS
def test_the_check_finds_a_sidecar_that_lies(store: GalleryFile, kind: ScanKind) -> None:
    assert ranker.faults(store.reader) == []
    assert not sidecar.path(store.path, kind).exists(), "looking is not making"
    FileRanker.open(store.reader, exact=kind is ScanKind.EIGHT)
    assert ranker.faults(store.reader) == []
    others = units(600, DIMENSION, 5)
    bits, bytes_ = Quantised.rabitq(others), Quantised.eight_bit(*ranges([others]))
    lie = bits if kind is ScanKind.RABITQ else bytes_
    lie.add(others)
    ids = np.arange(1, 601) if kind is ScanKind.EIGHT else np.full(600, 1)
    sidecar.write_sidecar(
        store.path, Sidecar(kind, DIMENSION, store.reader.seal(), ids, lie.to_bytes(), 0, 0)
    )
    (fault,) = ranker.faults(store.reader)
    assert fault.startswith(f"{sidecar.path(store.path, kind)} disagrees")


# the whole way ------------------------------------------------------------------------------


def test_a_photo_is_identified_through_the_sidecar_and_info_says_so(tmp_path, extractor) -> None:
    with Gallery.open(tmp_path / "g.facecli", create=True) as opened:
        opened.models.extractor = extractor  # loaded once for all tests
        opened.storage.add([reference(f"visitor {i}", i) for i in range(300)])
        assert people.info_row(opened.info())["index"]["kind"] == "missing"
        opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
        index = people.info_row(opened.info())["index"]
        assert (index["kind"], index["tail"]) == ("sidecar", 0)
        assert Path(index["path"]).stat().st_size == index["bytes"]
        (usual,) = opened.identify([hopper()])
        assert not sidecar.path(opened.storage.path, ScanKind.EIGHT).exists()
        (exact,) = opened.identify([hopper()], exact=True)
        assert sidecar.path(opened.storage.path, ScanKind.EIGHT).exists()
        assert (usual.subject, usual.candidates) == ("Grace Hopper", exact.candidates)
        opened.storage.add([reference("one more", 5000)])
        said = people.info_text(opened.info())
        assert "1 subject behind" in said and f"{index['agreed']} of 100 probes" in said
        assert opened.storage.reader.faults() == []


@pytest.mark.parametrize(("changed", "again"), [(10, False), (11, True)])
def test_the_fit_stands_among_very_many_until_some_have_changed(
    store: GalleryFile, changed: int, again: bool
) -> None:
    with closing(GalleryFile.open(store.path)) as vault:
        first = operating_point.own_nonmated_scores(vault, NO_KINDS)
        assert first is not None and first.n == 600
        vault.add([reference(f"new {i}", 5000 + i) for i in range(changed)])
        then = operating_point.own_nonmated_scores(vault, NO_KINDS)
    assert then is not None and then.n == (611 if again else 600)


# files ---------------------------------------------------------------------------------------


@KINDS
def test_it_is_its_owner_s_alone_and_comes_back_as_written(tmp_path: Path, kind: ScanKind) -> None:
    index = np.frombuffer(random.Random(0).randbytes(999), np.uint8)
    made = Sidecar(kind, 64, Seal(7, bytes(range(16))), np.array([3, 2**40]), index, 9, 10)
    sidecar.write_sidecar(tmp_path / "g", made)
    file = sidecar.path(tmp_path / "g", kind)
    assert [p for p in tmp_path.iterdir() if p != file] == []
    assert file.stat().st_mode & 0o777 == 0o600
    back = sidecar.read_sidecar(tmp_path / "g", kind, made.seal)
    assert back is not None
    assert (back.kind, back.dimension, back.seal, back.agreed, back.asked) == (
        kind, 64, made.seal, 9, 10,
    )  # fmt: skip
    assert (list(back.ids), back.index.tobytes()) == ([3, 2**40], index.tobytes())
    assert sidecar.read_sidecar(tmp_path / "g", kind, Seal(7, bytes(16))) is None
    assert sidecar.read_sidecar(tmp_path / "g", kind, Seal(8, made.seal.token)) is None


@pytest.mark.parametrize("name", ["g.facecli", "[a] gallery*?.facecli"])
def test_what_is_swept_and_what_is_discarded(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    index = np.zeros(9, np.uint8)
    for kind in ScanKind:
        sidecar.write_sidecar(path, Sidecar(kind, 4, Seal(1, bytes(16)), np.arange(2), index, 0, 0))
    target = sidecar.path(path, ScanKind.RABITQ)
    bystanders = [path, tmp_path / f"{name}.export", tmp_path / f".other.{target.name}"]
    for file in bystanders:
        file.write_bytes(b"x")
    left = draft_left_by_a_kill(target, "draft", b"templates")
    with atomic.draft(target) as busy:
        atomic.sweep(tmp_path)
        assert busy.exists(), "somebody is writing it"
        assert not left.exists()
        left.mkdir(0o1700)  # killed before it could say what it is
        sidecar.discard_sidecars(path)
        assert sorted(tmp_path.iterdir()) == sorted(bystanders)
        with pytest.raises(FileNotFoundError):
            atomic.place(busy, target)
    sidecar.discard_sidecars(path)  # nothing there is fine, too
    assert sorted(tmp_path.iterdir()) == sorted(bystanders)


def start(code: str, home: Path, *arguments: object) -> subprocess.Popen[str]:
    variables = environment(home)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], env=variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


BUILDER = """
import sys
from pathlib import Path
from facecli.storage.search import candidates; from facecli.storage.search import sidecar
from facecli.storage.sqlite.store import GalleryFile
from facecli.storage.search.ranker import FileRanker
candidates.SIDECAR_FROM = 1
store = GalleryFile.open(Path(sys.argv[1]))
while True:
    sidecar.path(store.path, sidecar.ScanKind.RABITQ).unlink(missing_ok=True)
    print("make", flush=True)
    FileRanker.open(store.reader)
"""


@pytest.mark.slow
def test_killed_while_making_it_nothing_is_lost_and_nothing_is_left(
    store: GalleryFile, tmp_path: Path
) -> None:
    builder = start(BUILDER, tmp_path, store.path)
    for attempt in range(4):
        assert builder.stdout is not None
        for _ in range(1 + attempt):
            assert builder.stdout.readline() == "make\n"
        time.sleep(random.Random(attempt).random() / 20)
        builder.send_signal(signal.SIGKILL)
        builder.communicate()
        found = FileRanker.open(store.reader)
        assert names(store, found, unit_vector(attempt), 1) == [f"S{attempt:05}"]
        header = sidecar.peek(store.path, ScanKind.RABITQ)
        assert header is not None and header.seal == store.reader.seal()
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
        builder = start(BUILDER, tmp_path, store.path)
    builder.kill()
    builder.communicate()
    assert store.reader.check() == []


WRITER = """
import sys
from pathlib import Path
from facecli.storage.search import candidates
from facecli.storage.sqlite.store import GalleryFile
from support.galleries import reference
candidates.SIDECAR_FROM, candidates.tail_limit = 1, lambda count: 5
store, first = GalleryFile.open(Path(sys.argv[1])), int(sys.argv[2])
for i in range(first, first + 20):
    store.add([reference(f"W{i}", i)])
    if i % 3:
        store.remove(f"W{i}")
    print(i, flush=True)
    candidates.keep_in_step(store.reader)
"""
READER = """
import sys
from pathlib import Path
from facecli.storage.search import candidates
from facecli.storage.sqlite.store import GalleryFile
from facecli.storage.search.ranker import FileRanker
from support.galleries import unit_vector
candidates.SIDECAR_FROM, candidates.tail_limit = 1, lambda count: 5
store = GalleryFile.open(Path(sys.argv[1]))
for turn in range(6):
    ranking = FileRanker.open(store.reader, exact=turn % 2 == 1)
    for i in [*range(3000, 3020), *range(4000, 4020)]:
        with store.reader.snapshot():
            best = ranking.best(unit_vector(i), 1)[0]
            there = store._db.execute("SELECT id FROM subject WHERE name = ?", (f"W{i}",))
            row = there.fetchone()
        assert (best.score > 0.999) == (row is not None), (i, best, row)
        assert row is None or (best.id, best.name) == (row[0], f"W{i}")
"""


@pytest.mark.slow
def test_two_writers_and_two_readers_never_see_what_is_not_there(
    store: GalleryFile, tmp_path: Path
) -> None:
    processes = [
        start(WRITER, tmp_path, store.path, 3000), start(WRITER, tmp_path, store.path, 4000),
        start(READER, tmp_path, store.path), start(READER, tmp_path, store.path),
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=LAST_RESORT)
        assert (process.returncode, errors) == (0, "")
    found = FileRanker.open(store.reader, exact=True)
    for i in (*range(3000, 3020), *range(4000, 4020)):
        assert (names(store, found, unit_vector(i), 1) == [f"W{i}"]) == (i % 3 == 0)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
