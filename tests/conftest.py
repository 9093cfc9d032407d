"""What all test files share: how they run, what is left out, two portraits, the shipped models."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support import galleries, places

from facecli.common.parallel import processors
from facecli.common.types import Image
from facecli.recognition import images
from facecli.recognition.detector import YuNet
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor

# No limits of time, which fail where the machine is busy. In depth: --hypothesis-profile=deep
for profile, examples in (("deep", 400), ("quick", 50)):
    settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile(profile)

# Left out of a plain `pytest` (see addopts), and how to run them.
LEFT_OUT = {
    "slow": "pytest -m slow",
    "lfw": "pytest -m lfw",
    "milvus": "pip install '.[milvus]' milvus==2.3.5, then pytest -n0 -m milvus",
    "training": "pip install '.[train]', then pytest -m training",
}
left_out = Counter[str]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: a test process a processor, four at most, for each loads the models."""
    return min(4, processors())


def pytest_deselected(items: list[pytest.Item]) -> None:
    left_out.update(name for item in items for name in LEFT_OUT if item.get_closest_marker(name))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist tells its counts to the process that prints; all count the same."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    left_out.update(Counter(getattr(node, "workeroutput", {}).get("left_out", {})) - left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in left_out.items():
        terminalreporter.write_line(f"LEFT OUT: {count} tests marked {name}: {LEFT_OUT[name]}")


@pytest.fixture(scope="session")
def portraits() -> dict[str, Path]:
    """Two public-domain portraits, one face each."""
    return {"Grace Hopper": galleries.hopper(), "Eileen Collins": galleries.collins()}


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
    if not places.LFW.is_dir():
        pytest.skip(f"NOT CHECKED ON LFW: {places.LFW} is not there")
    return places.LFW
