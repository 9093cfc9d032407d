"""A camera on this machine: a web server that sends JPEGs one after the other, stalls and drops."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

from facecli.common.types import Image


@dataclass
class Camera:
    """visits: the frames of each connection, in order; the last serves all that come later. stalls:
    after the frames of a visit nothing comes, and the line stays open; else it drops. every:
    seconds between two frames. sent: frames so far, of all visits. begun: visits so far.
    """

    visits: Sequence[Sequence[Image]]
    stalls: bool = False
    every: float = 0.1
    address: str = ""
    sent: int = 0
    begun: int = 0
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running(camera: Camera) -> Iterator[Camera]:
    """The camera at its address, on 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            frames = camera.visits[min(camera.begun, len(camera.visits) - 1)]
            camera.begun += 1
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                for image in frames:
                    self._send(image)
                    camera.sent += 1
                    if camera.closing.wait(camera.every):
                        return
                if camera.stalls:
                    camera.closing.wait()
            except OSError:
                pass  # who watched has gone

        def _send(self, image: Image) -> None:
            data = cv2.imencode(".jpg", image)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    camera.address = f"http://127.0.0.1:{server.server_port}/stream"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield camera
    finally:
        camera.closing.set()
        server.shutdown()
        server.server_close()


def wait_for(what: object, seconds: float = 120) -> None:
    """Wait until `what()` is true; a limit only so that a broken test ends."""
    assert callable(what)
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
