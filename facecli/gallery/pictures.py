"""What a library user hands in as a photo: a path, bytes, an array, a Pillow image; one or many."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from facecli.common.errors import UsageError
from facecli.common.types import Image
from facecli.datasets.labels import LabelledPhoto, labelled
from facecli.recognition.images import View
from facecli.recognition.model_zoo.specs import ChannelOrder
from facecli.recognition.pipeline import OpenedPhoto, Source

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow

    from facecli.gallery.enroll import EnrollItem

ARRAY, PILLOW = "(array)", "(image)"  # what a picture without a file is called

PhotoLike: TypeAlias = (
    "str | Path | bytes | bytearray | memoryview | NDArray[np.uint8] | Pillow | Source"
)
"""A photo: where it lies, its file's bytes, an (H, W, 3) or (H, W) uint8 array, or an image."""


def sources(
    photos: PhotoLike | Iterable[PhotoLike], channels: ChannelOrder | str | None = None
) -> list[Source] | Iterator[Source]:
    """What the extraction path takes, of one photo or of many.

    channels: of arrays with colours, in which order these lie: OpenCV's is BGR, most others' RGB.
    A list for one photo and for a list; what comes one by one is taken so.
    Raises UsageError for what is no photo, and for an array whose order is not said.
    """
    if is_one(photos):
        return [source(photos, channels)]  # type: ignore[arg-type]
    if isinstance(photos, list | tuple):
        return [source(photo, channels) for photo in photos]
    if isinstance(photos, Iterable):
        return (source(cast(PhotoLike, photo), channels) for photo in photos)
    raise _no_photo(photos)


def source(photo: PhotoLike, channels: ChannelOrder | str | None = None) -> Source:
    """The same of one photo."""
    if isinstance(photo, Path | bytes | Future | OpenedPhoto):
        return photo
    if isinstance(photo, bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str | os.PathLike):
        return Path(photo)
    if isinstance(photo, np.ndarray):
        return _opened(_from_array(photo, channels), ARRAY)
    if _is_pillow(photo):
        from PIL.ImageOps import exif_transpose

        upright = exif_transpose(photo).convert("RGB")
        return _opened(_from_array(np.asarray(upright), ChannelOrder.RGB), PILLOW)
    raise _no_photo(photo)


def to_enroll(
    photos: PhotoLike | Sequence[PhotoLike] | Sequence[LabelledPhoto],
    subject: str | None,
    channels: ChannelOrder | str | None,
) -> tuple[Sequence[LabelledPhoto], list[Source], tuple[EnrollItem, ...]]:
    """Files with their subjects, pictures that lie in no file, and what is nobody's.

    Raises UsageError where there are such pictures and no subject, InputError where there is no
    photo at all.
    """
    if isinstance(photos, Sequence) and all(isinstance(one, LabelledPhoto) for one in photos):
        return cast(Sequence[LabelledPhoto], photos), [], ()
    given = sources(cast(PhotoLike, photos), channels)
    files, pictures = list[Path](), list[Source]()
    for one in given:
        files.append(one) if isinstance(one, Path) else pictures.append(one)
    if pictures and subject is None:
        raise UsageError("say who is on a picture that lies in no file: subject='Ada Lovelace'")
    if not files:
        return [], pictures, ()
    from facecli.gallery.enroll import not_named

    found = labelled(files, subject, moving=True)
    return found.photos, pictures, tuple(map(not_named, found.problems))


def is_one(photos: object) -> bool:
    """Whether it is one photo, and not many."""
    if isinstance(photos, str | os.PathLike | bytes | np.ndarray | Future | OpenedPhoto):
        return True
    # An open file gives lines, which are no photos: it is refused as one.
    is_one = isinstance(photos, bytearray | memoryview) or hasattr(photos, "read")
    return is_one or _is_pillow(photos)


def _is_pillow(photo: object) -> bool:
    return any(kind.__module__ == "PIL.Image" for kind in type(photo).__mro__)


def _no_photo(given: object) -> UsageError:
    if hasattr(given, "read"):
        return UsageError("an open file is no photo: give its path, or its bytes, .read()")
    return UsageError(
        "a photo is a path, a file's bytes, a uint8 array or a Pillow image, "
        f"not {type(given).__name__}"
    )


def _from_array(array: NDArray[np.uint8], channels: ChannelOrder | str | None) -> Image:
    """(H, W, 3) uint8 BGR."""
    grey = array.ndim == 2
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise UsageError(
            f"an array of {array.dtype} and shape {array.shape} is no photo: give uint8 of shape "
            "(height, width, 3), or (height, width) for grey"
        )
    if not array.size:
        raise UsageError(f"an array of shape {array.shape} holds no pixels")
    if grey:
        return np.repeat(array[:, :, None], 3, axis=2)
    if channels is None:
        raise UsageError(
            "say how the array's colours lie: channels=ChannelOrder.BGR as OpenCV has them, or "
            "ChannelOrder.RGB as Pillow and matplotlib do"
        )
    return np.ascontiguousarray(array[:, :, ::-1] if _is_rgb(channels) else array)


def _is_rgb(channels: str) -> bool:
    """Of a word, too, as in `channels="rgb"`."""
    try:
        return ChannelOrder(str(channels).upper()) is ChannelOrder.RGB
    except ValueError:
        raise UsageError(f"channels is 'RGB' or 'BGR', not {channels!r}") from None


def _opened(image: Image, name: str) -> OpenedPhoto:
    """Its hash is that of its pixels and shape, as there is no file."""
    sha256 = hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
    return OpenedPhoto(name, b"", sha256, View(image, 1))
