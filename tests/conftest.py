"""What several test files share: two portraits, the shipped extractor, LFW where it is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from facecli.common.types import Image
from facecli.recognition import images
from facecli.recognition.detector import YuNet
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor

SHARED = Path(__file__).parents[2] / "shared"
PORTRAITS = {
    "Grace Hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "Eileen Collins": ("skimage", "data/astronaut.png"),
}


@pytest.fixture(scope="session")
def portraits() -> dict[str, Path]:
    """Two public-domain portraits, one face each, found without importing their packages."""
    found = {}
    for name, (package, file) in PORTRAITS.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            pytest.skip(f"NOT CHECKED: {package} is missing, pip install 'facecli[demo]'")
        found[name] = Path(spec.origin).parent / file
    return found


@pytest.fixture(scope="session")
def pictures(portraits: dict[str, Path]) -> dict[str, Image]:
    """The portraits' pixels, (H, W, 3) uint8 BGR; copy before you draw on them."""
    decoded = {}
    for name, path in portraits.items():
        image = images.decode(path.read_bytes(), str(path))
        assert not hasattr(image, "reason"), image
        decoded[name] = image
    return decoded


@pytest.fixture(scope="session")
def hopper(pictures: dict[str, Image]) -> Image:
    return pictures["Grace Hopper"]


@pytest.fixture(scope="session")
def collins(pictures: dict[str, Image]) -> Image:
    return pictures["Eileen Collins"]


@pytest.fixture(scope="session")
def detector() -> YuNet:
    """The shipped detector, for tests on one thread."""
    return YuNet(registry.read_verified(registry.find_detector()))


@pytest.fixture(scope="session")
def extractor() -> Extractor:
    """The shipped path with the default embedder, whatever FACECLI_MODEL says."""
    return Extractor.load(registry.find_embedder(registry.DEFAULT_EMBEDDER))


@pytest.fixture(scope="session")
def lfw() -> Path:
    """The root of lfw-dev: photos/<Name>/<Name>_0001.jpg and pairs.csv."""
    root = SHARED / "lfw-dev"
    if not root.is_dir():
        pytest.skip(f"NOT CHECKED ON LFW: {root} is not there")
    return root
