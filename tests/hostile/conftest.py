"""The commands under limits, and one gallery with one clear person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import galleries
from support.sandbox import Facecli, Sandbox


@pytest.fixture(scope="session")
def facecli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facecli]:
    with Sandbox(tmp_path_factory.mktemp("home")) as sandbox:
        yield Facecli(sandbox)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of Grace Hopper, as small as it may be."""
    path = tmp_path_factory.mktemp("good") / "good.jpg"
    path.write_bytes(galleries.variant(galleries.hopper(), 1))
    return path


@pytest.fixture(scope="session")
def enrolled(facecli: Facecli, good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that holds Grace Hopper; copy it before you change it."""
    path = tmp_path_factory.mktemp("gallery") / "g.facecli"
    assert facecli("enroll", good, "-s", "Grace", "-g", path).code == 0
    return path
