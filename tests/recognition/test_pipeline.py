"""The one path, on real photos: order, threads, failures, and whom a photo is of."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from facecli.common.enums import DetectorName, Device, Reason
from facecli.common.parallel import BATCH, QUEUED_PER_WORKER
from facecli.common.plugins import Embedder
from facecli.common.types import Face, FailureToAcquire, Float32, Image, Photo
from facecli.recognition import alignment, pipeline, quality
from facecli.recognition.detector import YuNet
from facecli.recognition.pipeline import Extractor, OpenedPhoto, open_ahead, open_photo, prominence


def good(result: Photo | FailureToAcquire) -> Photo:
    assert isinstance(result, Photo), result
    return result


def vector(photo: Photo) -> Float32:
    return photo.faces[0].template.vector


def who(extractor: Extractor, photo: Photo, pictures: dict[str, Image]) -> list[str]:
    """The portraits' names in the order of the photo's faces."""
    known = {n: vector(extractor.image(p, n)) for n, p in pictures.items()}
    return [max(known, key=lambda n: known[n] @ f.template.vector) for f in photo.faces]


def side_by_side(left: Image, right: Image, gap: int = 0) -> Image:
    height = max(left.shape[0], right.shape[0])
    canvas = np.full((height, left.shape[1] + gap + right.shape[1], 3), 127, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], left.shape[1] + gap :] = right
    return canvas


def stretched(image: Image, factor: float) -> Image:
    shrink = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=shrink)


def test_a_photo_is_decoded_detected_aligned_and_embedded(
    extractor: Extractor, detector: YuNet, portraits: dict[str, Path], hopper: Image
) -> None:
    path = portraits["Grace Hopper"]
    photo = good(extractor.photo(path))
    (found,) = photo.faces
    (face,) = detector.detect(hopper)
    crop = alignment.crop(hopper, face.landmarks)
    assert (photo.path, photo.failures) == (str(path), ())
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert np.array_equal(found.face.landmarks, face.landmarks)
    assert found.face.box == face.box
    assert found.face.quality == pytest.approx(quality.assess(face, crop).score)
    assert found.template.embedder_id == extractor.spec.embedder_id
    wanted = extractor.embedder.embed(crop[None])[0]
    assert found.template.vector == pytest.approx(wanted, abs=1e-6)


def test_a_file_and_its_bytes_are_the_same_photo(
    extractor: Extractor, portraits: dict[str, Path]
) -> None:
    path = portraits["Grace Hopper"]
    file, data = good(extractor.photo(path)), good(extractor.photo(path.read_bytes()))
    assert (data.path, data.sha256) == ("-", file.sha256)
    assert np.array_equal(vector(data), vector(file))


@pytest.mark.parametrize("workers", [1, 2, 5, None])
def test_the_number_of_workers_changes_nothing(
    workers: int | None, extractor: Extractor, portraits: dict[str, Path], tmp_path: Path
) -> None:
    """Order and values, with photos of different sizes and bad ones among the good."""
    sources: list[Path | bytes] = [tmp_path / "missing.jpg"]
    for factor in (0.5, 1, 0.7):
        for path in portraits.values():
            small = stretched(cv2.imread(str(path)), factor)
            sources.append(bytes(cv2.imencode(".png", small)[1]))
    sources[3:3] = [b"not a photo", portraits["Grace Hopper"].read_bytes()[:9000]]
    alone = [extractor.photo(source) for source in sources]
    found = list(extractor.photos(sources, workers))
    for a, b in zip(found, alone, strict=True):
        if isinstance(b, FailureToAcquire):
            assert a == b
        else:
            assert np.array_equal(vector(good(a)), vector(b))
            assert good(a).sha256 == b.sha256
    reasons = [r.reason for r in found if isinstance(r, FailureToAcquire)]
    assert reasons == [Reason.NOT_FOUND, Reason.NOT_AN_IMAGE, Reason.TRUNCATED]


@pytest.mark.parametrize("side", [600, 1900, 2700])
def test_one_photo_on_two_threads_is_the_same(
    side: int, extractor: Extractor, portraits: dict[str, Path]
) -> None:
    """A photo by itself gets all processors: not one bit of its faces may differ for that."""
    picture = cv2.imread(str(portraits["Grace Hopper"]))
    data = bytes(cv2.imencode(".jpg", stretched(picture, side / max(picture.shape)))[1])
    expected = good(extractor.photo(data))
    spread = Extractor.load(extractor.spec, Device.CPU, threads=2)
    try:
        found = good(spread.photo(data))
    finally:
        cv2.setNumThreads(1)
    for session in (spread.embedder._session, spread.detector._network._session):  # type: ignore[attr-defined]
        assert session.get_session_options().intra_op_num_threads == 2
    assert [face.face.box for face in found.faces] == [face.face.box for face in expected.faces]
    assert np.array_equal(vector(found), vector(expected))
    assert found.sha256 == expected.sha256


def test_a_large_photo_gives_the_template_of_the_small_one(
    extractor: Extractor, pictures: dict[str, Image]
) -> None:
    for name, picture in pictures.items():
        large = extractor.image(stretched(picture, 6), name)
        assert vector(large) @ vector(extractor.image(picture, name)) > 0.95


def test_a_photo_of_nobody(extractor: Extractor) -> None:
    photo = extractor.image(np.zeros((300, 400, 3), np.uint8), "black.png")
    assert (photo.faces, photo.failures) == ((), ())
    assert photo.without_face().reason is Reason.NO_FACE


class Mirrored:
    """YuNet, but with left and right mixed up, as in a broken detector."""

    def __init__(self, detector: YuNet) -> None:
        self._detector = detector

    def detect(self, image: Image, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        swap = [1, 0, 2, 4, 3]
        found = self._detector.detect(image, known)
        return tuple(Face(f.box, f.landmarks[swap], f.detection_score) for f in found)


def test_landmarks_of_no_face_are_a_failure_not_a_black_crop(
    extractor: Extractor, detector: YuNet, hopper: Image
) -> None:
    odd = Extractor(extractor.spec, extractor.embedder, Mirrored(detector))
    photo = odd.image(hopper, "odd.jpg")
    assert photo.faces == ()
    assert [f.reason for f in photo.failures] == [Reason.DEGENERATE]
    assert "mirrored" in photo.failures[0].detail
    assert photo.without_face().path == "odd.jpg"


def test_the_larger_of_two_people_comes_first(
    extractor: Extractor, pictures: dict[str, Image], hopper: Image, collins: Image
) -> None:
    for pair in (
        side_by_side(hopper, stretched(collins, 0.6)),
        side_by_side(stretched(collins, 0.6), hopper),
    ):
        photo = extractor.image(pair, "pair")
        assert who(extractor, photo, pictures) == ["Grace Hopper", "Eileen Collins"]


def test_of_like_faces_the_one_in_the_middle_comes_first(
    extractor: Extractor, pictures: dict[str, Image], hopper: Image, collins: Image
) -> None:
    alike = stretched(collins, 1.85)[: hopper.shape[0]]  # her face about as large as Hopper's
    for middle, edge, name in ((hopper, alike, "Grace Hopper"), (alike, hopper, "Eileen Collins")):
        margin = np.full((600, edge.shape[1], 3), 127, np.uint8)
        for row in ((margin, middle, edge), (edge, middle, margin)):
            found = who(extractor, extractor.image(np.hstack(row), ""), pictures)
            assert len(found) == 2
            assert found[0] == name


def test_prominence_is_area_times_nearness_to_the_middle() -> None:
    points = np.zeros((5, 2), np.float32)
    middle = Face((40, 40, 60, 60), points, 1)
    corner = Face((-10, -10, 10, 10), points, 1)
    larger = Face((30, 30, 70, 70), points, 1)
    assert prominence(middle, (100, 100)) == pytest.approx(400)
    assert prominence(corner, (100, 100)) == pytest.approx(0)
    assert prominence(larger, (100, 100)) == pytest.approx(1600)
    half = Face((15, 15, 35, 35), points, 1)
    assert prominence(half, (100, 100)) == pytest.approx(100)


def facecli_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("facecli")]


def test_a_reader_that_stops_early_stops_the_threads(
    extractor: Extractor, portraits: dict[str, Path]
) -> None:
    taken = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(1)
            yield portraits["Grace Hopper"]

    stream = extractor.photos(endless(), 2)
    assert good(next(stream)).faces
    assert facecli_threads()
    stream.close()
    assert not facecli_threads()
    read = len(taken)
    time.sleep(0.05)
    assert len(taken) == read <= 2 * QUEUED_PER_WORKER * BATCH


def test_all_threads_share_one_detector(extractor: Extractor, portraits: dict[str, Path]) -> None:
    """Of either kind: the same template every time, whoever else is at work."""
    for name in DetectorName:
        own = Extractor.load(extractor.spec, Device.CPU, name)
        results = list(own.photos([*portraits.values()] * 6, 3))
        for first in (0, 1):
            assert len({vector(good(r)).tobytes() for r in results[first::2]}) == 1


def test_both_detectors_give_the_same_template(
    extractor: Extractor, portraits: dict[str, Path]
) -> None:
    reference = Extractor.load(extractor.spec, Device.CPU, DetectorName.OPENCV)
    for path in portraits.values():
        ours, theirs = good(extractor.photo(path)), good(reference.photo(path))
        assert vector(ours) @ vector(theirs) > 0.9999


def test_load_takes_the_device_that_was_named(extractor: Extractor) -> None:
    own = Extractor.load(extractor.spec, Device.CPU)
    assert own.embedder.device is Device.CPU


def test_only_as_many_templates_as_are_wanted(
    extractor: Extractor, hopper: Image, collins: Image
) -> None:
    data = cv2.imencode(".png", side_by_side(hopper, stretched(collins, 0.6)))[1].tobytes()
    every = good(extractor.photo(data))
    one = good(next(extractor.extract([open_photo(data)], most=1)))
    assert (len(every.faces), len(one.faces)) == (2, 1)
    assert vector(one) @ vector(every) > 0.99999
    assert one.sha256 == every.sha256


def test_photos_in_company_get_the_templates_they_get_alone(
    extractor: Extractor, portraits: dict[str, Path]
) -> None:
    """To the bit, in order; what is no photo comes out as it went in."""
    alone = {path: vector(good(extractor.photo(path))) for path in portraits.values()}
    first, second = portraits.values()
    group = [open_photo(first), "not a photo", open_photo(Path("gone.jpg")), open_photo(second)]
    one, other, gone, two = extractor.extract(group)
    assert other == "not a photo"
    assert isinstance(gone, FailureToAcquire)
    assert np.array_equal(vector(good(one)), alone[first])
    assert np.array_equal(vector(good(two)), alone[second])


def test_a_photo_opened_ahead_gives_what_it_gives_otherwise(
    extractor: Extractor, portraits: dict[str, Path]
) -> None:
    path = next(iter(portraits.values()))
    begun = open_ahead(path)
    assert np.array_equal(vector(good(extractor.photo(begun))), vector(good(extractor.photo(path))))
    gone = extractor.photo(open_ahead(Path("gone.jpg")))
    assert isinstance(gone, FailureToAcquire) and gone.reason is Reason.NOT_FOUND
    one, two = (vector(good(photo)) for photo in extractor.photos([begun, path]))
    assert np.array_equal(one, two)


def test_a_group_ends_where_it_has_enough_pixels(extractor: Extractor, hopper: Image) -> None:
    """Small files can hold many pixels, so the files' sizes alone do not bound the memory."""
    data = cv2.imencode(".jpg", np.zeros((1000, 1250, 3), np.uint8))[1].tobytes()
    drawn: list[int] = []

    def photos() -> Iterator[OpenedPhoto]:
        for number in range(10):
            drawn.append(number)
            photo = open_photo(data)
            assert isinstance(photo, OpenedPhoto)
            yield photo

    assert good(next(extractor.extract(photos()))).faces == ()
    assert len(drawn) == 4  # of 1.25 megapixels


class OnAccelerator:
    """The real embedder, said to be on an accelerator; notes how many crops came at once."""

    device = Device.CUDA

    def __init__(self, real: Embedder) -> None:
        self.real = real
        self.batches: list[int] = []

    def embed(self, crops: Image) -> Float32:
        self.batches.append(len(crops))
        return self.real.embed(crops)


def test_an_accelerator_gets_the_faces_of_several_photos_at_once(
    extractor: Extractor, portraits: dict[str, Path], hopper: Image, collins: Image
) -> None:
    embedder = OnAccelerator(extractor.embedder)
    own = Extractor(extractor.spec, embedder, extractor.detector)
    pair = cv2.imencode(".png", side_by_side(hopper, collins))[1].tobytes()
    blank = cv2.imencode(".png", np.zeros((90, 90, 3), np.uint8))[1].tobytes()
    sources = [*portraits.values(), b"no photo", pair, blank]
    together = list(own.batch(sources))
    assert embedder.batches == [4]
    for found, source in zip(together, sources, strict=True):
        alone = extractor.photo(source)
        if isinstance(alone, FailureToAcquire):
            assert found == alone
            continue
        vectors = [[f.template.vector for f in p.faces] for p in (good(found), alone)]
        assert np.allclose(*vectors, atol=1e-5)
        assert len(vectors[0]) == len(vectors[1])
    assert [good(p).faces for p in own.batch([blank, blank])] == [(), ()]


def test_what_a_smaller_copy_shows_lies_at_the_same_place_in_the_larger_one() -> None:
    """The centre of its first pixel is the middle of the k x k pixels that it stands for."""
    points = np.array([[0, 0], [1, 2], [3, 3], [9, 4], [-0.5, -0.5]], np.float32)
    large = pipeline._enlarged(Face((0, 1, 2, 3), points, 0.9, 0.8), 4)
    assert large.box == (1.5, 5.5, 9.5, 13.5)
    assert (large.landmarks == (points + 0.5) * 4 - 0.5).all()
    assert large.landmarks[0].tolist() == [1.5, 1.5]
    assert large.landmarks[-1].tolist() == [-0.5, -0.5], "the photo's corner stays its corner"
