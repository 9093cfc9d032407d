"""One Milvus server for all tests here, and milvus-lite beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest
from support.server import Server, etcd_is_there

Place = Callable[[], Path]


@pytest.fixture(autouse=True)
def _alone(pytestconfig: pytest.Config) -> None:
    """gRPC's threads do not survive the forks of other tests, so these run by themselves."""
    if pytestconfig.option.markexpr != "milvus":
        pytest.skip("NOT CHECKED WITH MILVUS: pip install '.[milvus]' milvus==2.3.5, then "
                    "pytest -n0 -m milvus")  # fmt: skip


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    for package in ("milvus", "pymilvus"):
        if find_spec(package) is None:
            pytest.skip(
                f"NOT CHECKED ON A MILVUS SERVER: {package} is missing; milvus==2.3.5 is it"
            )
    if etcd_is_there():
        pytest.skip("NOT CHECKED ON A MILVUS SERVER: another Milvus or etcd has port 2380")
    started = Server(tmp_path_factory.mktemp("milvus"), tick=25)
    yield started
    started.stop()


@pytest.fixture(params=["server", "lite"])
def place(request, tmp_path: Path) -> Place:
    """Gives the address of a gallery that is not there yet, another one each time."""
    numbers = count()
    if request.param == "server":
        made = request.getfixturevalue("server")
        name = f"g{abs(hash(request.node.name)) % 10**9}"
        return lambda: made.address(f"{name}_{next(numbers)}")
    if find_spec("milvus_lite") is None:
        pytest.skip("NOT CHECKED ON MILVUS-LITE: milvus_lite is missing: pip install '.[milvus]'")
    return lambda: Path(f"milvus-lite:{tmp_path}/lite.db/g{next(numbers)}")
