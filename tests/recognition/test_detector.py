"""YuNet on real photos of every size: each person once, in the same place, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from facecli.common.errors import ModelError
from facecli.common.types import Face, Float32, Image
from facecli.recognition.detector import FINEST_SIDE, OVERLAP, STRIP, YuNet, opencv
from facecli.recognition.model_zoo import registry
from facecli.recognition.yunet import Network, RuntimeNetwork

EYES = {"Grace Hopper": (267, 195), "Eileen Collins": (225, 104)}  # px: read off the portraits
GREY = 110


def resized(image: Image, factor: float) -> Image:
    shrink = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=shrink)


def long_side(face: Face) -> float:
    x1, y1, x2, y2 = face.box
    return max(x2 - x1, y2 - y1)


def only(faces: tuple[Face, ...]) -> Face:
    (face,) = faces
    return face


def worst(found: Float32, wanted: Float32) -> float:
    """The largest landmark error as a part of the eye distance."""
    eyes = np.linalg.norm(wanted[1] - wanted[0])
    return float(np.linalg.norm(found - wanted, axis=1).max() / eyes)


def group(tiles: list[Image], width: int = 4000, height: int = 3000) -> Image:
    """The tiles in rows on a canvas, at most 640 x 700 px of each."""
    canvas = np.full((height, width, 3), GREY, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = 50 + i // 6 * 720, 50 + i % 6 * 650
        part = tile[:700, :640]
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas


@pytest.mark.parametrize("name", EYES)
def test_a_portrait(name: str, pictures: dict[str, Image], detector: YuNet) -> None:
    face = only(detector.detect(pictures[name]))
    left, right, nose, mouth_left, mouth_right = face.landmarks
    x1, y1, x2, y2 = face.box
    assert face.landmarks.dtype == np.float32
    assert 0.85 < face.detection_score <= 1
    assert np.linalg.norm((left + right) / 2 - EYES[name]) < 15
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert (face.landmarks > (x1, y1)).all()
    assert (face.landmarks < (x2, y2)).all()


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.7, 3.0, 7.0])
@pytest.mark.parametrize("name", EYES)
def test_a_face_stays_where_it_is_at_every_size(
    name: str, factor: float, pictures: dict[str, Image], detector: YuNet
) -> None:
    """From 25 px to a 12-megapixel portrait."""
    wanted = only(detector.detect(pictures[name]))
    found = only(detector.detect(resized(pictures[name], factor)))
    points = ((found.landmarks + 0.5) / factor - 0.5).astype(np.float32)
    assert worst(points, wanted.landmarks) < (0.2 if factor < 0.5 else 0.1)
    box = (np.array(found.box) + 0.5) / factor - 0.5
    assert np.abs(box - wanted.box).max() < 0.12 * long_side(wanted)


@pytest.mark.parametrize("margin", [-0.15, 0.0, 0.1, 0.3])
@pytest.mark.parametrize("name", EYES)
def test_a_selfie_that_fills_twelve_megapixels(
    name: str, margin: float, pictures: dict[str, Image], detector: YuNet
) -> None:
    """And more than fills them: below a margin of 0 the chin and forehead are cut off."""
    face = only(detector.detect(pictures[name]))
    x1, y1, x2, y2 = face.box
    dx, dy = margin * (x2 - x1), margin * (y2 - y1)
    left, top = max(0, round(x1 - dx)), max(0, round(y1 - dy))
    part = pictures[name][top : round(y2 + dy), left : round(x2 + dx)]
    factor = 4000 / max(part.shape[:2])
    found = only(detector.detect(resized(part, factor)))
    points = (found.landmarks + 0.5) / factor - 0.5 + np.float32([left, top])
    assert worst(points.astype(np.float32), face.landmarks) < 0.2


@pytest.mark.parametrize("size", [40, 60, 150, 300])
def test_everybody_in_a_twelve_megapixel_group_once(
    size: int, pictures: dict[str, Image], detector: YuNet
) -> None:
    tiles, people = [], 24
    for picture in pictures.values():
        factor = size / long_side(only(detector.detect(picture)))
        tiles.append(resized(picture, factor))
    found = detector.detect(group(tiles * (people // 2)))
    assert len(found) == people
    places = {
        (int(f.landmarks[2][0] - 50) // 650, int(f.landmarks[2][1] - 50) // 720) for f in found
    }
    assert len(places) == people
    assert all(0.7 * size < long_side(f) < 1.4 * size for f in found)
    assert [long_side(f) for f in found] == sorted(map(long_side, found), reverse=True)


def test_large_and_small_faces_in_one_photo(
    pictures: dict[str, Image], hopper: Image, detector: YuNet
) -> None:
    """Somebody close to the camera, others far behind: 30 to 1 in size."""
    canvas = np.full((3000, 4000, 3), GREY, np.uint8)
    close = resized(hopper, 4.8)  # a face of 1000 px
    canvas[: close.shape[0], : close.shape[1]] = close[:3000]
    for i, size in enumerate((400, 150, 60, 35)):
        tile = resized(hopper, size / 211)[:1100, :1000]
        y = 20 + i * 900 if i < 2 else 1800 + i * 250
        canvas[y : y + tile.shape[0], 2700 : 2700 + tile.shape[1]] = tile
    assert [round(long_side(f) / s, 1) for f, s in zip(
        detector.detect(canvas), (1013, 400, 150, 60, 35), strict=True
    )] == pytest.approx([1] * 5, abs=0.15)  # fmt: skip


@pytest.mark.parametrize("degrees", [-20, -10, 10, 20])
@pytest.mark.parametrize("factor", [0.4, 1, 5])
@pytest.mark.parametrize("name", EYES)
def test_a_tilted_head(
    name: str, factor: float, degrees: float, pictures: dict[str, Image], detector: YuNet
) -> None:
    picture = pictures[name]
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    tilted = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    found = only(detector.detect(resized(tilted, factor)))
    points = (found.landmarks + 0.5) / factor - 0.5
    wanted = only(detector.detect(picture)).landmarks @ turn[:, :2].T + turn[:, 2]
    assert worst(points.astype(np.float32), wanted.astype(np.float32)) < 0.25
    assert tilt(points) == pytest.approx(tilt(wanted), abs=11)


def tilt(landmarks: Float32) -> float:
    """Of the line through the eyes, degrees."""
    across, down = landmarks[1] - landmarks[0]
    return float(np.degrees(np.arctan2(down, across)))


def test_a_grey_photo(hopper: Image, detector: YuNet) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(hopper, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    colour = only(detector.detect(hopper))
    assert worst(only(detector.detect(grey)).landmarks, colour.landmarks) < 0.1


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 2), (1, 2000), (2000, 3), (3, 2000), (33, 1), (700, 700), (31, 5000)]
)
def test_nobody_in_a_black_picture(size: tuple[int, int], detector: YuNet) -> None:
    assert detector.detect(np.zeros((*size, 3), np.uint8)) == ()


def test_nobody_in_noise(detector: YuNet) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1400, 3), np.uint8)
    assert detector.detect(noise) == ()


def test_passes_stay_within_memory() -> None:
    """A photo of 60 megapixels: the network never sees more than FINEST_SIDE px."""
    sides = []

    class Recorder(RuntimeNetwork):
        """The real network, which also notes the sizes it is given."""

        def rows(self, image: Image) -> Float32:
            sides.append(max(image.shape[:2]))
            return super().rows(image)

    watched = YuNet(registry.read_verified(registry.find_detector()), Recorder)
    canvas = np.full((3000, 20_000, 3), GREY, np.uint8)
    assert watched.detect(canvas) == ()
    assert max(sides) == FINEST_SIDE
    assert sides[0] == 640


@pytest.mark.parametrize("make", [YuNet, opencv])
def test_one_detector_serves_all_threads(
    make: Callable[[bytes], YuNet], pictures: dict[str, Image]
) -> None:
    """Threads at work on different sizes at once find what one thread finds, to the bit."""
    shared = make(registry.read_verified(registry.find_detector()))
    tasks = [resized(p, f) for p in pictures.values() for f in (0.5, 0.8, 1.3)]
    wanted = [only(shared.detect(t)).landmarks for t in tasks]
    found: dict[int, list[Float32]] = {}
    start = threading.Barrier(3)

    def work(which: int) -> None:
        start.wait()
        mine = tasks[which:] + tasks[:which]
        landmarks = [only(shared.detect(t)).landmarks for t in mine]
        found[which] = landmarks[-which:] + landmarks[:-which] if which else landmarks

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found.values():
        assert all(np.array_equal(a, b) for a, b in zip(result, wanted, strict=True))
    assert len(found) == 3


@pytest.mark.parametrize("make", [YuNet, opencv])
@pytest.mark.parametrize("onnx", [b"", b"no network"])
def test_bytes_that_are_no_network(onnx: bytes, make: Callable[[bytes], YuNet]) -> None:
    with pytest.raises(ModelError, match="cannot load the face detector"):
        make(onnx)


@pytest.mark.parametrize("size", [40, 60, 150, 300, 500, 650])
def test_at_a_glance_the_same_faces_are_seen_each_once(
    size: int, hopper: Image, collins: Image, detector: YuNet
) -> None:
    """Of all sizes a frame can have, beside a small one that only the finer pass sees."""
    factor, frame = size / 211, np.full((720, 960, 3), GREY, np.uint8)
    shift = np.float32([[factor, 0, 400 - 267 * factor], [0, factor, 350 - 215 * factor]])
    cv2.warpAffine(hopper, shift, (960, 720), frame, borderMode=cv2.BORDER_TRANSPARENT)
    tile = resized(collins, 0.5)
    frame[-tile.shape[0] :, -tile.shape[1] :] = tile
    seen, wanted = detector.glance(frame), detector.detect(frame)
    assert len(seen) == len(wanted) == 2
    for one, other in zip(seen, wanted, strict=True):
        assert one.box == pytest.approx(other.box, abs=0.15 * long_side(other))
        assert worst(one.landmarks, other.landmarks) < 0.25
        (again,) = detector.detect(frame, [one])
        assert worst(again.landmarks, other.landmarks) < 0.1


@pytest.mark.parametrize("sizes", [(60, 110), (110, 60)])
def test_in_one_pass_too_the_largest_comes_first(
    sizes: tuple[int, int], hopper: Image, collins: Image, detector: YuNet
) -> None:
    """Of a picture so small that one pass is all."""
    canvas = np.full((150, 240, 3), GREY, np.uint8)
    for left, size, tile in zip((5, 125), sizes, (hopper, collins), strict=True):
        part = _around(tile, only(detector.detect(tile)))
        canvas[20 : 20 + size, left : left + size] = cv2.resize(part, (size, size))
    for seen in (detector.glance(canvas), detector.detect(canvas)):
        assert len(seen) == 2
        assert long_side(seen[0]) > 1.3 * long_side(seen[1])


def _around(image: Image, face: Face) -> Image:
    """A square that holds a face, with a quarter of its size on each side."""
    x1, y1, x2, y2 = face.box
    side, middle, centre = 1.5 * long_side(face), (x1 + x2) / 2, (y1 + y2) / 2
    left, top = round(middle - side / 2), round(centre - side / 2)
    return image[max(0, top) : round(top + side), max(0, left) : round(left + side)]


class Plates(Network):
    """Sees white plates on black as faces, the score by their size; as exact as their pixels are.

    What the passes do is geometry: plates show it to a pixel, which faces do not.
    """

    def rows(self, image: Image) -> Float32:
        white = (image[:, :, 0] > 127).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(white, connectivity=8)
        rows = []
        for x, y, w, h, _ in stats[1:]:
            points = [(x + w * i / 4, y + h * i / 4) for i in range(5)]
            rows.append([x, y, w, h, *np.ravel(points), 0.6 + 0.3 * w / image.shape[1]])
        return np.array(rows, np.float32).reshape(-1, 15)


def plates(boxes: list[tuple[int, int, int, int]], side: int) -> Image:
    picture = np.zeros((side, side, 3), np.uint8)
    for x, y, w, h in boxes:
        picture[y : y + h, x : x + w] = 255
    return picture


def test_what_a_strip_s_edge_cuts_is_seen_once_and_whole() -> None:
    """Small plates on every edge of the finest pass's strips, cut by it in every place."""
    edges = [*range(STRIP, FINEST_SIDE, STRIP), *range(STRIP + OVERLAP, FINEST_SIDE, STRIP)]
    boxes = [
        (20 + 72 * i, edge + above, 20, 24)
        for edge in edges
        for i, above in enumerate(range(-28, 6))
    ]
    found = YuNet(b"", lambda *_: Plates()).detect(plates(boxes, FINEST_SIDE))
    assert len(found) == len(boxes)
    seen = sorted((*f.box[:2], f.box[2] - f.box[0], f.box[3] - f.box[1]) for f in found)
    off = np.abs(np.array(seen) - sorted(boxes)).max(axis=1)
    assert off.max() <= 1 and np.mean(off < 0.01) > 0.9


@pytest.mark.parametrize("place", [(0, 0), (1000, 700), (1900, 2300), (2300, 60)])
def test_landmarks_are_those_of_the_close_view(place: tuple[int, int]) -> None:
    """A pixel of the coarse pass is four of the picture; the close view tells them apart."""
    x, y = place
    (face,) = YuNet(b"", lambda *_: Plates()).detect(plates([(x, y, 181, 203)], FINEST_SIDE))
    wanted = [(x + 181 * i / 4, y + 203 * i / 4) for i in range(5)]
    assert np.abs(face.landmarks + 0.5 - wanted).max() < 1.1
