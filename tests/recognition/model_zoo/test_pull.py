"""Fetching embedders from a real HTTP server on this machine."""

from __future__ import annotations

import io
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.networks import iresnet, network, sha
from typer.testing import CliRunner

from facecli import Gallery
from facecli.cli.models import app
from facecli.common import places
from facecli.common.enums import Basis
from facecli.common.errors import LicenceError, ModelError, UsageError
from facecli.datasets.labels import LabelledPhoto
from facecli.recognition.model_zoo import add, registry
from facecli.recognition.model_zoo.pull import pull_model
from facecli.recognition.model_zoo.specs import EmbedderSpec, KnownModel


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A facecli folder of this test's own, the network allowed, no proxy in between."""
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "facecli"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("FACECLI_MODEL", "FACECLI_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "facecli"


@dataclass
class Site:
    """What the server answers with, and the Range headers it was sent."""

    content: bytes
    ranges: bool = True
    stop_after: int | None = None
    status: int = 200
    url: str = ""
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Start a server on 127.0.0.1 for one content; all are stopped when the test ends."""
    servers: list[ThreadingHTTPServer] = []

    def start(content: bytes, ranges: bool = True, status: int = 200) -> Site:
        site = Site(content, ranges=ranges, status=status)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        site.url = f"http://127.0.0.1:{server.server_address[1]}/model"
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            site.asked.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
            if site.status != 200 or start >= len(site.content):
                self.send_error(site.status if site.status != 200 else 416)
                return
            body = site.content[start:]
            self.send_response(206 if start else 200)
            if start:
                last, size = len(site.content) - 1, len(site.content)
                self.send_header("Content-Range", f"bytes {start}-{last}/{size}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: site.stop_after])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in members:
            pack.writestr(name, content)
    return buffer.getvalue()


def pull(site: Site, **more: object) -> EmbedderSpec:
    """Pull w600k_mbf with the small network in its place, vouched for by its sha256."""
    return pull_model("w600k_mbf", True, site.url, sha(site.content), **more)  # type: ignore[arg-type]


def left_over(home: Path) -> list[str]:
    return [path.name for path in (home / "models").glob(".*")]


def test_a_download_is_installed_and_reports_its_progress(
    serve: Callable[..., Site], own_home: Path
) -> None:
    content, seen = network(), []
    spec = pull(serve(content), progress=lambda done, total: seen.append((done, total)))
    assert registry.read_verified(registry.find_embedder("w600k_mbf")) == content
    assert (spec.channel_order, spec.mean, spec.std, spec.dimension) == ("RGB", 127.5, 127.5, 48)
    assert seen[-1] == (len(content), len(content))
    assert left_over(own_home) == []


@pytest.mark.parametrize("ranges", [True, False], ids=["range honoured", "range ignored"])
def test_a_truncated_download_resumes(
    serve: Callable[..., Site], own_home: Path, ranges: bool
) -> None:
    site = serve(network(), ranges=ranges)
    site.stop_after = 200
    with pytest.raises(ModelError, match=r"broke off after 200 of .* it resumes"):
        pull(site)
    assert registry.embedders() == registry.shipped_embedders()
    (part,) = (own_home / "models").glob(".*.part")
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    site.stop_after = None
    assert registry.read_verified(pull(site)) == site.content
    assert site.asked == [None, "bytes=200-"]
    assert left_over(own_home) == []


def test_a_download_that_was_complete_but_not_installed_is_not_fetched_again(
    serve: Callable[..., Site], own_home: Path
) -> None:
    site = serve(network())
    part = places.own_folder(own_home / "models") / f".{sha(site.content)}.part"
    part.write_bytes(site.content)
    assert registry.read_verified(pull(site)) == site.content


def test_a_file_that_is_not_the_pinned_one_is_deleted(
    serve: Callable[..., Site], own_home: Path
) -> None:
    with pytest.raises(ModelError, match=r"not the file that was expected.* was deleted"):
        pull_model("auraface", url=serve(network()).url)
    assert left_over(own_home) == []
    assert registry.embedders() == registry.shipped_embedders()


def test_a_resumed_download_of_a_file_that_changed_is_deleted(
    serve: Callable[..., Site], own_home: Path
) -> None:
    site = serve(network())
    part = places.own_folder(own_home / "models") / f".{sha(site.content)}.part"
    part.write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match="not the file that was expected"):
        pull(site)
    assert left_over(own_home) == []


def test_the_server_s_refusal_and_its_absence_are_reported(serve: Callable[..., Site]) -> None:
    with pytest.raises(ModelError, match=r"404 Not Found.*facecli models add"):
        pull(serve(network(), status=404))
    with pytest.raises(ModelError, match="could not be fetched"):
        pull_model("auraface", url="http://127.0.0.1:9/x")
    with pytest.raises(UsageError, match="https://"):
        pull_model("auraface", url=Path(__file__).as_uri())
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        pull_model("auraface", sha256="../" + "0" * 61)


@pytest.mark.parametrize("folder", ["", "buffalo_sc/"], ids=["flat", "nested"])
def test_only_the_recognition_network_is_taken_from_a_zip(
    serve: Callable[..., Site], own_home: Path, folder: str
) -> None:
    content = zipped(
        (folder + "det_500m.onnx", b"a detector"), (folder + "w600k_mbf.onnx", network())
    )
    assert registry.read_verified(pull(serve(content))) == network()
    found = {path.name for path in own_home.rglob("*") if path.is_file()}
    assert found == {"model.onnx", "model.toml"}


def linked() -> bytes:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as pack:
        pack.writestr(link, "/etc/passwd")
        pack.writestr("w600k_mbf.onnx", network())
    return buffer.getvalue()


def claiming(size: int) -> bytes:
    """A zip whose directory gives the network a wrong unpacked size."""
    content = bytearray(zipped(("w600k_mbf.onnx", network())))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = size.to_bytes(4, "little")
    return bytes(content)


GOOD = ("w600k_mbf.onnx", network())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (zipped(("../w600k_mbf.onnx", network())), "unsafe"),
        (zipped(GOOD, ("a/../../x", b"")), "unsafe"),
        (zipped(GOOD, ("/etc/x", b"")), "unsafe"),
        (zipped(GOOD, ("C:\\x", b"")), "unsafe"),
        (zipped(GOOD, ("..\\x", b"")), "unsafe"),
        (linked(), "unsafe"),
        (zipped(("det_500m.onnx", b"")), "holds 0 files"),
        (zipped(GOOD, ("a/w600k_mbf.onnx", network())), "holds 2 files"),
        (zipped(GOOD)[:-30], "damaged"),
        (claiming(2**30 + 1), "more than 1 GiB"),
        (claiming(100), "damaged"),
    ],
    ids=[
        "up",
        "inner up",
        "absolute",
        "drive",
        "backslash",
        "link",
        "none",
        "two",
        "cut",
        "bomb",
        "lie",
    ],
)
def test_an_evil_or_useless_zip_is_refused(
    serve: Callable[..., Site], own_home: Path, content: bytes, why: str
) -> None:
    with pytest.raises(ModelError, match=why):
        pull(serve(content))
    assert [path for path in own_home.rglob("*") if path.is_file()] == []
    assert not list(own_home.parent.glob("*.onnx"))


def test_a_restricted_licence_needs_consent_before_anything_is_fetched(
    serve: Callable[..., Site], own_home: Path
) -> None:
    site = serve(network())
    with pytest.raises(LicenceError, match=r"non-commercial.*--accept-licence"):
        pull_model("buffalo_sc", False, site.url, sha(site.content))
    assert site.asked == []
    assert not own_home.exists()


def test_offline_means_offline(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    site = serve(network())
    monkeypatch.setenv("FACECLI_OFFLINE", "1")
    with pytest.raises(ModelError, match="FACECLI_OFFLINE"):
        pull(site)
    assert site.asked == []


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="w600k_r50, w600k_mbf, glintr100, auraface"):
        pull_model("nobody")


@pytest.fixture
def auraface(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Site:
    """AuraFace's door, with a network of its shape behind it: 512 numbers, pinned by its sha256."""
    site = serve(iresnet(dimension=512))
    pinned = sha(site.content)

    def known() -> tuple[KnownModel, ...]:
        real = next(model for model in published if model.spec.name == "auraface")
        here = replace(real.spec, sha256=pinned)
        return (replace(real, spec=here, url=site.url, url_sha256=pinned),)

    published = registry.known_models()
    monkeypatch.setattr(registry, "known_models", known)
    monkeypatch.setattr(add, "known_models", known)
    return site


def test_auraface_is_fetched_once_by_its_name_alone_and_mended(auraface: Site) -> None:
    spec = pull_model("auraface")
    assert (spec.channel_order, spec.mean, spec.std, spec.dimension) == ("RGB", 127.5, 127.5, 512)
    assert (spec.commercial_use, spec.table, spec.flip) == (True, None, True)
    assert pull_model("auraface") == spec
    assert len(auraface.asked) == 1
    spec.path.write_bytes(b"damaged")
    assert pull_model("auraface").path.read_bytes() == auraface.content
    registry.verify_files(spec)


def test_auraface_is_known_by_its_content_and_works_without_a_table(
    auraface: Site, tmp_path: Path, portraits: dict[str, Path]
) -> None:
    (tmp_path / "from a stick.onnx").write_bytes(auraface.content)
    spec = add.add_model(tmp_path / "from a stick.onnx")
    assert (spec.name, spec.licence, spec.dimension) == ("auraface", "Apache-2.0", 512)
    photos = [LabelledPhoto(path, name) for name, path in portraits.items()]
    with Gallery.open(tmp_path / "g", model="auraface", create=True) as gallery:
        gallery.enroll(photos)
        (first, *_) = gallery.identify([portraits["Grace Hopper"]])
    assert first.candidates[0].subject == "Grace Hopper"
    assert first.operating_point.basis is Basis.OWN_PEOPLE
    assert auraface.asked == []


def test_what_is_shipped_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACECLI_OFFLINE", "1")
    assert pull_model("sface") == registry.find_embedder("sface")
    said = CliRunner().invoke(app, ["pull", "sface"])
    assert said.exit_code == 0 and "sface comes with facecli" in said.stdout


def test_the_pull_command_needs_the_licence_accepted_and_says_how_to_use_the_model(
    serve: Callable[..., Site],
) -> None:
    site = serve(zipped(GOOD))
    options = ["pull", "buffalo_sc", "--url", site.url, "--sha256", sha(site.content)]
    assert isinstance(CliRunner().invoke(app, options).exception, LicenceError)
    result = CliRunner().invoke(app, [*options, "--accept-licence"])
    assert "--model w600k_mbf" in result.stdout
    assert result.stderr == ""
