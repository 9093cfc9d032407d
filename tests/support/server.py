"""A real Milvus server in a folder of its own, as the package `milvus` carries it."""

from __future__ import annotations

import socket
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.patience import LAST_RESORT

ETCD_PEERS = 2380


class Server:
    """Started at once; `kill` it as a power cut would, and `start` it again over the same data."""

    def __init__(self, folder: Path, tick: int = 200) -> None:
        """tick: ms, what a strong read waits for; 200 is the server's default."""
        self._folder = folder
        self._tick = tick
        self._milvus: Any = None
        self.start()

    def start(self) -> None:
        """Some 10 s; the port may be another one each time."""
        from milvus import MilvusServer, MilvusServerConfig

        config = MilvusServerConfig(proxy_port=_free_port())
        self._milvus = MilvusServer(config, wait_for_started=False)
        self._milvus.set_base_dir(str(self._folder))
        config.set("proxy.timeTickInterval", self._tick)
        self._milvus.start()
        health = f"http://127.0.0.1:{self._milvus.webservice_port}/healthz"
        until = time.monotonic() + LAST_RESORT
        while not _well(health):
            if self._milvus.server_proc.poll() is not None or time.monotonic() > until:
                log = (self._folder / "logs" / "milvus-stderr.log").read_text(errors="replace")
                raise RuntimeError(f"the Milvus server did not start: {log[-2000:]}")
            time.sleep(0.1)

    def address(self, collection: str) -> Path:
        """What --gallery takes."""
        return Path(f"milvus://127.0.0.1:{self._milvus.listen_port}/{collection}")

    def kill(self) -> None:
        """Without a warning."""
        self._milvus.server_proc.kill()
        self._milvus.server_proc.wait()

    def stop(self) -> None:
        """For good; its data are of no use any more. `milvus` alone would wait for seconds only."""
        self.kill()
        self._milvus.stop()


def etcd_is_there() -> bool:
    """Whether a port is taken that the server's own etcd always uses: one server a machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", ETCD_PEERS)) == 0


def _well(health: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(health, timeout=5) as answer:
        return b"OK" in answer.read()
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
