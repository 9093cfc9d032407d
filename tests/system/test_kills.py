"""Kills at random moments, and a crowd at one gallery: nothing reported is lost, nothing clashes.

benchmarks/reliability tries the same hundreds of times.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import company
from support.galleries import environment, new_store, reference
from support.patience import LAST_RESORT

from facecli.storage.interface import Called
from facecli.storage.search import candidates, sidecar
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite.store import GalleryFile

SEED = 7


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_whoever_is_killed_whenever_nothing_reported_is_lost(tmp_path: Path, kills: int):
    done = subprocess.run(
        [sys.executable, Path(company.__file__).with_name("killing.py"), tmp_path / "k", str(kills),
         str(SEED)], env=environment(tmp_path), capture_output=True, text=True, timeout=LAST_RESORT,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    kinds = {"writer", "migration", "shell", "re_embedding", "enrolment"}
    assert {kind for kind, _, _ in rows} == (kinds if kills > 6 else {"writer", "migration"})
    assert all(survived == tried for _, survived, tried in rows)
    assert sum(int(tried) for _, _, tried in rows) == kills


@pytest.mark.parametrize("seconds", [0.5, pytest.param(10, marks=pytest.mark.slow)])
def test_two_writers_and_three_readers_at_once_tell_one_story(tmp_path: Path, seconds: float):
    assert company.gather(tmp_path, 2, 3, seconds) > 25


def test_a_sidecar_under_way_while_somebody_is_erased_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    store = new_store(tmp_path / "g")
    store.add([reference(f"S{i}", i) for i in range(20)])
    written = sidecar.write_sidecar

    def late(gallery: Path, made: sidecar.Sidecar) -> None:
        monkeypatch.setattr(sidecar, "write_sidecar", written)
        other = GalleryFile.open(store.path)
        assert other.erase(Called("S7")).complete
        other.close()
        written(gallery, made)  # with S7 in it

    monkeypatch.setattr(sidecar, "write_sidecar", late)
    candidates.keep_in_step(store.reader)
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".rabitq"] == []
    FileRanker.open(store.reader)
    header = sidecar.peek(store.path, sidecar.ScanKind.RABITQ)
    assert header is not None and header.count == 19
    store.close()
