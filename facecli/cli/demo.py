"""`facecli demo`: its two portraits, public domain, lie in well-kept packages."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.paths import Output
from facecli.common import atomic
from facecli.common.errors import InputError, UsageError

if TYPE_CHECKING:
    from facecli.common.types import Image

PORTRAITS = {
    "Grace Hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "Eileen Collins": ("skimage", "data/astronaut.png"),
}


def demo(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Where to leave photos and pictures."),
        Output(folder=True),
    ] = Path("facecli-demo"),
) -> None:
    """The whole job on two real portraits: enrol one, know her again, call the other unknown.

    Needs the photos of `pip install 'facecli[demo]'`. Run it again to start over.
    """
    photos = prepare(folder)
    gallery = ["--gallery", str(photos.gallery)]
    typer.echo(f"Two public-domain portraits, in {folder}: Grace Hopper, to be enrolled, and")
    typer.echo("Eileen Collins, a stranger. The commands below are those that you would type.")
    _run("Enrol Grace Hopper from one photo.", ["enroll", str(photos.known), *gallery])
    _run(
        "Who is it? Hopper in another shot (turned, darker, smaller, recompressed), and Collins.",
        ["identify", str(photos.again), str(photos.stranger), *gallery,
         "--annotate", str(photos.pictures)],
    )  # fmt: skip
    _run("Where the threshold comes from.", ["threshold", *gallery])
    typer.echo(f"\nLook at the pictures in {photos.pictures}: a box and an answer on every face.")
    typer.echo("Next, your own photos, a folder per person: facecli enroll FOLDER")


def _run(what: str, arguments: list[str]) -> None:
    """Show the command a user would type, and run it here.

    Everything goes through `typer.echo`, which flushes: stdout and stderr stay in order in a pipe.
    """
    from facecli.cli.app import app

    typer.echo(f"\n# {what}\n$ facecli {shlex.join(arguments)}")
    if code := app(arguments, standalone_mode=False):  # 130: Ctrl-C ends the demo, too
        raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class DemoPhotos:
    """What the demo works on, all in one folder.

    known: a folder to enrol. again: the same person in an altered shot. stranger: somebody else.
    gallery, pictures: where the gallery file and the annotated pictures go.
    """

    known: Path
    again: Path
    stranger: Path
    gallery: Path
    pictures: Path

    @classmethod
    def below(cls, folder: Path) -> DemoPhotos:
        """Where everything lies in `folder`, whether it is there or not."""
        return cls(
            known=folder / "photos",
            again=folder / "again.jpg",
            stranger=folder / "stranger.png",
            gallery=folder / "gallery.facecli",
            pictures=folder / "pictures",
        )


def portrait(name: str) -> Path:
    """Where a portrait lies. Raises InputError, naming the extra, when its package is missing."""
    package, file = PORTRAITS[name]
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise InputError(
            f"the demo's portrait of {name} comes with {package}: pip install 'facecli[demo]'"
        )
    return path


def prepare(folder: Path) -> DemoPhotos:
    """Lay the demo's photos out in `folder`, made new, empty, or left by an earlier demo.

    Raises UsageError for a folder with other things in it, InputError where a portrait is missing.
    """
    photos = DemoPhotos.below(folder)
    hopper, collins = portrait("Grace Hopper"), portrait("Eileen Collins")
    try:
        home = photos.known / "Grace Hopper"
        wanted = {
            home / "portrait.jpg": hopper.read_bytes(),
            photos.stranger: collins.read_bytes(),
            photos.again: altered(_decoded(hopper)),
        }
        _clear(folder, photos, wanted)
        home.mkdir(parents=True, exist_ok=True)
        for path, content in wanted.items():
            if not path.exists():
                atomic.write(path, content)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be used: {error.strerror}; name another folder"
        ) from error
    return photos


def _clear(folder: Path, photos: DemoPhotos, wanted: Mapping[Path, bytes]) -> None:
    """Take away the gallery and pictures of an earlier demo, file by file; refuse anything else.

    wanted: what the demo's photos hold.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (photos.again.is_file() and photos.stranger.is_file()):
        raise UsageError(f"{folder} is not empty: name another folder, or remove it")
    for path, content in wanted.items():
        if os.path.lexists(path) and (path.is_symlink() or path.read_bytes() != content):
            raise UsageError(f"{path} is not the demo's: name another folder, or remove it")
    if os.path.lexists(photos.gallery) and not _is_the_demos(photos.gallery):
        raise UsageError(f"{photos.gallery} holds more than the demo's: name another folder")
    for end in ("", "-wal"):
        atomic.erase(photos.gallery.with_name(photos.gallery.name + end))
    photos.gallery.with_name(photos.gallery.name + "-shm").unlink(missing_ok=True)
    for probe in (photos.again, photos.stranger):
        (photos.pictures / f"{probe.stem}.jpg").unlink(missing_ok=True)


def _is_the_demos(gallery: Path) -> bool:
    """Whether Grace Hopper is in there, once, and nobody else: no work is lost with it."""
    from facecli.storage import opening

    if gallery.is_symlink():
        return False
    with closing(opening.open_storage(gallery)) as storage:
        people = storage.reader.subjects()
        return [(row.name, row.references) for row in people] == [("Grace Hopper", 1)]


def _decoded(path: Path) -> Image:
    from facecli.common.types import FailureToAcquire
    from facecli.recognition import images

    image = images.decode(path.read_bytes(), str(path))
    if isinstance(image, FailureToAcquire):
        raise InputError(f"{path}: {image.reason}; install its package again")
    return image


def altered(image: Image) -> bytes:
    """Another shot of it: turned by 12 degrees, darker, half the size, recompressed; a JPEG.

    image: (H, W, 3) uint8 BGR.
    """
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 12, 0.95)
    turned = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    dark = np.clip(turned.astype(np.float32) * 0.6, 0, 255).astype(np.uint8)
    small = cv2.resize(dark, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1])
