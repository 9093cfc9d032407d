"""Photos into the gallery: each once, whatever its name, and one bad photo never stops a folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image as Pillow
from support import clips
from support.galleries import blank, collins, hopper, two_faces, variant, write_variants

from facecli import Gallery
from facecli.common.enums import FacesRule, Reason
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.enroll import EnrollReport, EnrollStatus, enroll
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor, OpenedPhoto
from facecli.storage.sqlite.store import GalleryFile


class CountingExtractor(Extractor):
    """The real one, which also notes what it was asked to extract."""

    def __init__(self, real: Extractor) -> None:
        super().__init__(real.spec, real.embedder, real.detector)
        self.seen: list[str] = []

    def extract(self, photos, most: int | None = None):
        def noted(photo):
            if isinstance(photo, OpenedPhoto):
                self.seen.append(photo.path)
            return photo

        return super().extract(map(noted, photos), most)


@pytest.fixture
def counting(extractor: Extractor) -> CountingExtractor:
    return CountingExtractor(extractor)


@pytest.fixture
def store(tmp_path: Path):
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    opened = GalleryFile.create(tmp_path / "g.facecli", spec.embedder_id, spec.dimension)
    yield opened
    opened.close()


def run(
    store: GalleryFile, extractor: Extractor, *photos: tuple[Path, str], faces=FacesRule.LARGEST
) -> EnrollReport:
    labelled = [LabelledPhoto(path, subject) for path, subject in photos]
    return enroll(store, extractor.on_threads(2), labelled, faces, None)


def test_a_photo_becomes_a_reference_with_its_facts(store: GalleryFile, extractor: Extractor):
    report = run(store, extractor, (hopper(), "Grace Hopper"))
    assert [(i.path, i.subject, i.status, i.faces, i.failure) for i in report.items] == [
        (str(hopper()), "Grace Hopper", EnrollStatus.ENROLLED, 1, None)
    ]
    (reference,) = store.reader.references()
    photo = extractor.photo(hopper())
    assert reference.photo_sha256 == photo.sha256
    assert reference.path == str(hopper())
    assert float(reference.template.vector @ photo.faces[0].template.vector) > 0.9999


def test_a_renamed_copy_costs_a_hash_and_no_extraction(store, counting, tmp_path: Path):
    run(store, counting, (hopper(), "Grace Hopper"))
    assert len(counting.seen) == 1
    copy = tmp_path / "other name.jpeg"
    copy.write_bytes(hopper().read_bytes())
    report = run(store, counting, (copy, "Grace Hopper"), (hopper(), "Grace Hopper"))
    assert [i.status for i in report.items] == [EnrollStatus.ALREADY] * 2
    assert len(counting.seen) == 1
    assert store.reader.counts() == (1, 1)


def test_the_name_s_other_spelling_is_already_there(store, counting):
    nfc, nfd = (unicodedata.normalize(form, "Hoppé") for form in ("NFC", "NFD"))
    run(store, counting, (hopper(), nfd))
    assert run(store, counting, (hopper(), nfc)).items[0].status is EnrollStatus.ALREADY
    assert len(counting.seen) == 1


def test_the_same_photo_twice_in_a_run_is_one_reference(store, counting, tmp_path: Path):
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(hopper().read_bytes())
    report = run(store, counting, (hopper(), "Grace Hopper"), (copy, "Grace Hopper"))
    assert [i.status for i in report.items] == [EnrollStatus.ENROLLED, EnrollStatus.ALREADY]
    assert [i.faces for i in report.items] == [1, 0]
    assert store.reader.counts() == (1, 1)


def test_bad_photos_are_reported_in_place_and_skipped(store, counting, tmp_path: Path):
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "cut.jpg").write_bytes(hopper().read_bytes()[:20_000])
    bad = [tmp_path / "text.jpg", tmp_path / "cut.jpg", blank(tmp_path / "blank.png"),
           tmp_path / "gone.jpg", tmp_path]  # fmt: skip
    photos = [(path, "Grace Hopper") for path in [*bad, hopper()]]
    report = run(store, counting, *photos)
    assert [i.path for i in report.items] == [str(path) for path, _ in photos]
    assert [i.failure.reason for i in report.items if i.failure] == [
        Reason.NOT_AN_IMAGE, Reason.TRUNCATED, Reason.NO_FACE, Reason.NOT_FOUND, Reason.UNREADABLE,
    ]  # fmt: skip
    assert report.count(EnrollStatus.SKIPPED) == 5
    assert report.count(EnrollStatus.ENROLLED) == 1
    assert store.reader.counts() == (1, 1)


def test_nobody_is_left_behind_by_a_run_without_a_face(store, extractor, tmp_path: Path):
    run(store, extractor, (blank(tmp_path / "blank.png"), "Grace Hopper"))
    assert store.reader.subjects() == ()
    assert store.reader.check() == []


@pytest.mark.parametrize(("rule", "faces", "reason"), [
    (FacesRule.CLEAR, 1, None),
    (FacesRule.LARGEST, 1, None),
    (FacesRule.ALL, 2, None),
    (FacesRule.ONLY_ONE, 0, Reason.SEVERAL_FACES),
])  # fmt: skip
def test_each_rule_for_a_photo_with_two_faces(store, extractor, tmp_path, rule, faces, reason):
    photo = two_faces(tmp_path / "two.png")
    assert len(extractor.photo(photo).faces) == 2
    (item,) = run(store, extractor, (photo, "Crew"), faces=rule).items
    assert item.faces == faces == store.reader.counts()[1]
    assert (item.failure.reason if item.failure else None) is reason
    assert [r.face_index for r in store.reader.references()] == list(range(faces))
    assert item.left_out == (0 if reason or rule is FacesRule.ALL else 1)


def test_two_faces_that_may_be_meant_are_refused_and_said_where(store, extractor, tmp_path: Path):
    photo = tmp_path / "two.png"
    together = Pillow.new("RGB", (1200, 800), "grey")
    together.paste(Pillow.open(hopper()).convert("RGB").resize((400, 469)), (0, 160))
    together.paste(Pillow.open(collins()).convert("RGB").resize((800, 800)), (400, 0))
    together.save(photo)
    (item,) = run(store, extractor, (photo, "Crew"), faces=FacesRule.CLEAR).items
    assert (item.status, item.failure.reason) == (EnrollStatus.SKIPPED, Reason.SEVERAL_FACES)
    found = extractor.photo(photo).faces
    assert len(found) == 2
    for face in found:
        assert face.face.position in item.failure.detail
    assert "--faces largest" in item.failure.detail
    (item,) = run(store, extractor, (photo, "Crew"), faces=FacesRule.LARGEST).items
    assert (item.status, item.faces, item.left_out) == (EnrollStatus.ENROLLED, 1, 1)


def test_a_bystander_is_left_out_and_counted(store, extractor, tmp_path: Path):
    sitter, other = (Pillow.open(path).convert("RGB") for path in (hopper(), collins()))
    photo = tmp_path / "bystander.png"
    together = Pillow.new("RGB", (sitter.width * 2, sitter.height * 2), "grey")
    together.paste(sitter, (sitter.width // 2, sitter.height // 2))
    together.paste(other.resize((other.width // 3, other.height // 3)), (0, 0))
    together.save(photo)
    (item,) = run(store, extractor, (photo, "Grace Hopper"), faces=FacesRule.CLEAR).items
    assert (item.status, item.faces, item.left_out) == (EnrollStatus.ENROLLED, 1, 1)
    assert float(
        next(iter(store.reader.references())).template.vector
        @ extractor.photo(hopper()).faces[0].template.vector
    ) > 0.9  # fmt: skip


def test_only_one_takes_a_photo_with_one_face(store, extractor):
    report = run(store, extractor, (hopper(), "Grace Hopper"), faces=FacesRule.ONLY_ONE)
    assert report.items[0].status is EnrollStatus.ENROLLED


def test_a_photo_is_reported_only_once_it_is_committed(store, extractor, tmp_path: Path):
    write_variants(tmp_path / "in", hopper(), 40, width=160)
    photos = [LabelledPhoto(p, "Grace Hopper") for p in sorted((tmp_path / "in").iterdir())]
    other, reported, seen = GalleryFile.open(store.path), [], []

    def progress(item) -> None:
        reported.append(item)
        seen.append(other.reader.counts()[1])

    report = enroll(store, extractor.on_threads(2), photos, FacesRule.LARGEST, progress)
    assert reported == list(report.items)
    assert [i.path for i in report.items] == [str(p.path) for p in photos]
    assert all(count >= number for number, count in enumerate(seen, start=1))
    assert seen[0] < 40  # in groups: some are committed before the last was read
    other.close()


def test_an_interrupted_run_keeps_what_it_reported_and_goes_on(store, counting, tmp_path: Path):
    write_variants(tmp_path / "in", hopper(), 40, width=160)
    photos = [LabelledPhoto(p, "Grace Hopper") for p in sorted((tmp_path / "in").iterdir())]
    reported = []

    def stop(item) -> None:
        reported.append(item)
        if len(reported) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enroll(store, counting.on_threads(2), photos, FacesRule.LARGEST, stop)
    kept = store.reader.counts()[1]
    assert 10 <= kept < 40
    counting.seen.clear()
    report = enroll(store, counting.on_threads(2), photos, FacesRule.LARGEST, None)
    assert report.count(EnrollStatus.ALREADY) == kept
    assert report.count(EnrollStatus.ENROLLED) == 40 - kept == len(counting.seen)
    assert store.reader.counts() == (1, 40)
    assert store.reader.check() == []


def test_one_photo_may_be_two_subjects_reference(store, extractor, tmp_path: Path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(variant(collins(), 1))
    run(store, extractor, (photo, "Eileen Collins"), (photo, "The commander"))
    assert [(s.name, s.references) for s in store.reader.subjects()] == [
        ("Eileen Collins", 1), ("The commander", 1),
    ]  # fmt: skip


def test_a_clip_gives_the_best_faces_of_its_person_once(tmp_path: Path, extractor):
    clip = clips.write(tmp_path / "x.mp4", clips.walk(clips.grace(), 8, 0.3, 0.6))
    both = clips.walk(clips.grace(), 5, 0.3, 0.4) + clips.walk(clips.eileen(), 5, 0.6, 0.7, 1)
    two = clips.write(tmp_path / "y.mp4", both)
    with Gallery.open(tmp_path / "g", create=True) as gallery:
        gallery.models.extractor = extractor
        wanted = [LabelledPhoto(path, "Grace") for path in (clip, two, hopper())]
        first, second, photo = gallery.enroll(wanted).items
        assert (first.status, first.faces) == (EnrollStatus.ENROLLED, 3)
        assert photo.status is EnrollStatus.ENROLLED and second.failure is not None
        assert second.failure.reason is Reason.SEVERAL_FACES and " s; cut" in second.failure.detail
        assert gallery.enroll(wanted).items[0].status is EnrollStatus.ALREADY
        rows = list(gallery.storage.reader.references())
        assert [row.face_index for row in rows if row.path == str(clip)] == [0, 1, 2]
