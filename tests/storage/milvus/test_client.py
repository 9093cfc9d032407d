"""Talking to what says nothing: a line, and an end."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from facecli.common import waiting
from facecli.common.errors import GalleryError
from facecli.storage import opening
from facecli.storage.milvus import client

pytestmark = pytest.mark.milvus


def test_a_server_that_says_nothing_is_waited_for_aloud_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pymilvus", reason="NOT CHECKED: pip install 'facecli[milvus]'")
    monkeypatch.setattr(client, "CONNECT_WITHIN", 2.0)  # only to wait less
    monkeypatch.setattr(waiting, "SAID_AFTER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, and no more
        where = f"milvus://127.0.0.1:{mute.getsockname()[1]}/g"
        with pytest.raises(GalleryError, match="no Milvus server answers") as caught:
            opening.open_storage(Path(where))
    assert "\n" not in str(caught.value)
    assert f"waiting for Milvus at {where}, 2 s at most" in caplog.text
