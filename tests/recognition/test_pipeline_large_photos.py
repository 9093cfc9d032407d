"""Large photos are decoded reduced, and nothing that anybody sees changes but the time."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from support.places import ROOT

from facecli.common.types import FailureToAcquire, Image, Photo
from facecli.recognition import detector, images
from facecli.recognition.pipeline import Extractor

WIDTH, HEIGHT = 4000, 3000


def jpeg(image: Image, **options: object) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(image[..., ::-1]).save(stream, "JPEG", quality=92, **options)
    return stream.getvalue()


def wall(picture: Image, factor: float, left: int, top: int) -> Image:
    """The picture enlarged or shrunk on a grey 12-megapixel wall."""
    canvas = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    part = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)
    part = part[: HEIGHT - top, : WIDTH - left]
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    return canvas


def view(data: bytes, side: int | None = 1280) -> images.View:
    seen = images.decode_view(data, "a", side)
    assert isinstance(seen, images.View), seen
    return seen


def photo(extractor: Extractor, data: bytes) -> Photo:
    found = extractor.photo(data)
    assert isinstance(found, Photo), found
    return found


@pytest.mark.parametrize(
    ("longest", "side", "scale"),
    [(2559, 1280, 1), (2560, 1280, 2), (4000, 1280, 2), (5120, 1280, 4), (4000, 500, 8),
     (12_000, 1280, 8), (4000, None, 1)],
)  # fmt: skip
def test_the_largest_reduction_that_leaves_the_side(
    longest: int, side: int | None, scale: int, hopper: Image
) -> None:
    data = jpeg(cv2.resize(hopper, (longest, 400)))
    seen = view(data, side)
    assert seen.scale == scale
    assert seen.image.shape == (-(-400 // scale), -(-longest // scale), 3)


@pytest.mark.parametrize("shape", [(1, 4000), (4000, 3), (7, 20_001)])
def test_a_strip_is_reduced_no_further_than_it_can_be(shape: tuple[int, int]) -> None:
    seen = view(jpeg(np.full((*shape, 3), 80, np.uint8)))
    assert seen.image.shape[:2] == tuple(-(-length // seen.scale) for length in shape)
    assert np.abs(seen.image.astype(int) - 80).max() <= 1


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_view_is_upright_and_its_pixels_are_averages(orientation: int, hopper: Image) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = jpeg(cv2.resize(hopper, (2560, 3000)), exif=exif.tobytes())
    seen, whole = view(data), images.decode(data, "a")
    assert not isinstance(whole, FailureToAcquire)
    averages = cv2.resize(whole, seen.image.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert seen.scale == 2
    assert np.abs(seen.image.astype(int) - averages).mean() < 1.5


def test_formats_that_cannot_come_in_full(hopper: Image) -> None:
    large = cv2.resize(hopper, (2600, 3000))
    data = cv2.imencode(".png", large)[1].tobytes()
    assert view(data).scale == 1
    assert np.array_equal(view(data).image, large)


def test_a_truncated_large_photo_is_a_failure(hopper: Image) -> None:
    data = jpeg(cv2.resize(hopper, (2600, 3000)))
    assert isinstance(images.decode_view(data[: len(data) // 2], "a", 1280), FailureToAcquire)


@pytest.mark.parametrize("factor", [0.3, 0.6, 1.5, 4.0])
def test_faces_are_reported_in_the_photo_s_pixels(
    factor: float, hopper: Image, extractor: Extractor
) -> None:
    """From 60 px, where all pixels are needed after all, to 840."""
    image = wall(hopper, factor, 900, 300)
    (whole,) = extractor.image(image, "a").faces
    (found,) = photo(extractor, jpeg(image)).faces
    side = max(np.subtract(whole.face.box[2:], whole.face.box[:2]))
    assert np.abs(np.subtract(found.face.box, whole.face.box)).max() < 0.05 * side
    assert np.abs(found.face.landmarks - whole.face.landmarks).max() < 0.05 * side
    assert found.template.vector @ whole.template.vector > 0.98


def test_a_face_with_few_pixels_gets_all_there_are(hopper: Image, extractor: Extractor) -> None:
    for factor, scale in ((0.3, 1), (1.5, 2)):
        seen = extractor.detect(jpeg(wall(hopper, factor, 900, 300)), "a")
        assert not isinstance(seen, FailureToAcquire)
        assert seen[0].scale == scale


def test_a_small_face_beside_a_large_one_gets_all_the_pixels_there_are(
    hopper: Image, collins: Image, extractor: Extractor
) -> None:
    """The smallest of a photo's faces decides how much of it is decoded; the largest is first."""
    image = wall(hopper, 4.0, 0, 0)
    small = cv2.resize(collins, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    image[100 : 100 + small.shape[0], 3000 : 3000 + small.shape[1]] = small
    data = jpeg(image)
    seen = extractor.detect(data, "a")
    assert not isinstance(seen, FailureToAcquire)
    assert (seen[0].scale, len(seen[1])) == (1, 2)
    large, little = photo(extractor, data).faces
    for found, picture in ((large, hopper), (little, collins)):
        (own,) = extractor.image(picture, "").faces
        assert found.template.vector @ own.template.vector > 0.9


@pytest.mark.parametrize(
    "strip",
    [
        pytest.param(256, marks=pytest.mark.slow),
        detector.STRIP,
        pytest.param(448, marks=pytest.mark.slow),
    ],
)
def test_a_group_is_as_complete_as_from_all_pixels(
    strip: int, pictures: dict[str, Image], extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """84 people of 43 px in 12 megapixels, each once wherever the strips' edges lie."""
    monkeypatch.setattr(detector, "STRIP", strip)
    canvas = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    heights = {"Grace Hopper": 43 / 211, "Eileen Collins": 43 / 114}
    tiles = [
        cv2.resize(p, None, fx=heights[n], fy=heights[n], interpolation=cv2.INTER_AREA)
        for n, p in pictures.items()
    ]
    places = itertools.product(range(7), range(12))
    for tile, (row, column) in zip(itertools.cycle(tiles), places, strict=False):
        y, x = 20 + row * 425, 20 + column * 330
        canvas[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    found = [f.face.box for f in photo(extractor, jpeg(canvas)).faces]
    assert len(found) == 84
    assert {(int(b[1] - 20) // 425, int(b[0] - 20) // 330) for b in found} == set(
        itertools.product(range(7), range(12))
    )


GROWTH = """
import itertools, sys
from pathlib import Path
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

photos = [Path(p).read_bytes() for p in sys.argv[1:]]
extractor = Extractor.load(registry.find_embedder(registry.DEFAULT_EMBEDDER))
stream = extractor.photos(itertools.cycle(photos), 2)
seen = []
for _ in range(3):
    assert all(photo.faces for photo in itertools.islice(stream, 60))
    seen.append(resident())
stream.close()
print(*seen)
"""


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="NOT CHECKED: needs Linux's /proc"
)
@pytest.mark.slow
def test_memory_is_flat_over_endless_photos(pictures: dict[str, Image], tmp_path: Path) -> None:
    """Photos of several sizes from an endless iterator: after the first sixty nothing grows."""
    files = []
    for picture, width in itertools.product(pictures.values(), (150, 200, 250)):
        height = round(picture.shape[0] * width / picture.shape[1])
        files.append(tmp_path / f"{len(files)}.jpg")
        files[-1].write_bytes(jpeg(cv2.resize(picture, (width, height))))
    command = [sys.executable, "-c", GROWTH, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, _, last = map(float, done.stdout.split())
    assert last - first < 15, done.stdout
    assert last < 500
