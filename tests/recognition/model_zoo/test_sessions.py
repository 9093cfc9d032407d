"""The cache of optimised graphs: quick where it is whole, never believed where it is not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from support.galleries import environment
from support.networks import iresnet

from facecli.common.errors import ModelError
from facecli.recognition.model_zoo import sessions

IMAGE = np.random.default_rng(2).normal(size=(1, 3, 112, 112)).astype(np.float32)
NETWORK = iresnet()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "home"))


def output(network: bytes = NETWORK) -> np.ndarray:
    return np.asarray(sessions.session(network).run(None, {"x": IMAGE})[0])


def plain() -> np.ndarray:
    """As onnxruntime has it without any cache."""
    bare = onnxruntime.InferenceSession(NETWORK, providers=["CPUExecutionProvider"])
    return np.asarray(bare.run(None, {"x": IMAGE})[0])


def cached() -> Path:
    (file,) = sessions.cache_folder().iterdir()
    return file


def test_the_cached_graph_computes_the_same_bits() -> None:
    assert np.array_equal(output(), plain())
    first = cached().stat()
    assert np.array_equal(output(), plain())
    again = cached().stat()  # not whole: it is read, and its access time moves on
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns), "made again"
    assert stat.S_IMODE(first.st_mode) == 0o600
    assert stat.S_IMODE(sessions.cache_folder().stat().st_mode) == 0o700


def test_the_cached_graph_is_what_is_run(tmp_path: Path) -> None:
    """Another network under this one's name and with the right digest does answer."""
    output()
    mine, key = cached(), sessions._key(NETWORK)
    other = iresnet(blocks=2)
    theirs = np.asarray(sessions.session(other).run(None, {"x": IMAGE})[0])
    (file,) = set(sessions.cache_folder().iterdir()) - {mine}
    graph = sessions._read(file, sessions._key(other))
    mine.write_bytes(graph + sessions._digest(key, graph))
    assert np.array_equal(output(), theirs)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def rename(content: bytes) -> bytes:
    """A whole file of another key: another runtime, processor or network."""
    graph = content[:-32]
    return graph + sessions._digest(b"another onnxruntime", graph)


def no_graph(content: bytes) -> bytes:
    """Whole by its digest, but nothing that this onnxruntime can open."""
    return b"junk" + sessions._digest(sessions._key(NETWORK), b"junk")


@pytest.mark.parametrize("harm", [cut, flip, rename, no_graph, lambda _: b""])
def test_a_harmed_or_foreign_file_is_made_again(
    harm: Callable[[bytes], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    output()
    file = cached()
    harmed = harm(file.read_bytes())
    file.write_bytes(harmed)
    assert np.array_equal(output(), plain())
    assert cached() == file and file.read_bytes() != harmed
    assert sessions._read(file, sessions._key(NETWORK))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("part", ["__version__", "get_build_info"])
def test_another_onnxruntime_has_a_file_of_its_own(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output()
    first = cached()
    monkeypatch.setattr(onnxruntime, part, "0.1" if part == "__version__" else lambda: "mine")
    output()
    assert len({first, *sessions.cache_folder().iterdir()}) == 2


def test_a_folder_that_cannot_be_written_is_no_error() -> None:
    blocked = sessions.cache_folder()
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the folder should be")
    assert np.array_equal(output(), plain())
    assert blocked.is_file()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_no_error() -> None:
    sessions.cache_folder().mkdir(parents=True, mode=0o500)
    assert np.array_equal(output(), plain())
    assert list(sessions.cache_folder().iterdir()) == []


def test_a_file_of_another_user_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    output()
    monkeypatch.setattr(os, "geteuid", lambda: cached().stat().st_uid + 1)
    assert sessions._read(cached(), sessions._key(NETWORK)) == b""


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(NETWORK)
    script = (
        "import sys; from pathlib import Path; from facecli.recognition.model_zoo import sessions\n"
        "for _ in range(5):\n"
        "    sessions.session(Path(sys.argv[1]).read_bytes())\n"
        "    [f.unlink(missing_ok=True) for f in sessions.cache_folder().glob('*.ort')]\n"
        "sessions.session(Path(sys.argv[1]).read_bytes())"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "network.onnx")],
            env=environment(tmp_path / "home"), stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    assert [(p.communicate()[1], p.returncode) for p in running] == [(b"", 0)] * 3
    assert np.array_equal(output(), plain())
    assert sessions._read(cached(), sessions._key(NETWORK))


def test_what_is_no_network_leaves_nothing_behind() -> None:
    with pytest.raises(ModelError, match="not a network"):
        sessions.session(b"nothing of the kind")
    assert list(sessions.cache_folder().iterdir()) == []


def test_files_of_runtimes_long_gone_are_swept() -> None:
    folder = sessions.cache_folder()
    folder.mkdir(parents=True)
    for age in range(2 * sessions.KEPT):
        (folder / f"{age}.ort").write_bytes(b"old")
        os.utime(folder / f"{age}.ort", (1000 - age, 1000 - age))
    output()
    assert len(list(folder.iterdir())) == sessions.KEPT
    assert (folder / "0.ort").exists()
