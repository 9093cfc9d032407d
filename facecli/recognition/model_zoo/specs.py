"""What a model is: the facts that decide its results, and where its files lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecli.metrics.face_kinds import FaceKind


class ChannelOrder(StrEnum):
    """The order of the colour planes that a network was trained on."""

    RGB = "RGB"
    BGR = "BGR"


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """An embedder: the facts that decide its templates, and where its files lie.

    sha256: of the ONNX file, 64 lower-case hex digits. input_size: side of the crop, px.
    mean, std: per channel on 0..255 values, (x - mean) / std. dimension: of the template.
    flip: whether the template averages the crop and its mirror image.
    preprocessing: version of facecli's own steps before the network.
    commercial_use: False where the licence forbids it or is not known to allow it.
    card, table, centre: model card, reference table and mean vector; odd, children: directions of
    what is no photographed face and of small children (see `face_kinds`); None where there is none.
    rewritten, rewritten_sha256: the same network in the form that onnxruntime runs fastest (see
    `optimise`), made of the file when the model was added; None where the file itself is run.
    published_sha256: of the publisher's file, where a shipped file was made of one that users may
    have added before it was shipped, with the same templates; None elsewhere.
    """

    name: str
    path: Path
    sha256: str
    input_size: int
    channel_order: ChannelOrder
    mean: float
    std: float
    dimension: int
    flip: bool
    preprocessing: int
    licence: str
    commercial_use: bool
    source: str
    card: Path | None = None
    table: Path | None = None
    centre: Path | None = None
    odd: Path | None = None
    children: Path | None = None
    rewritten: Path | None = None
    rewritten_sha256: str | None = None
    published_sha256: str | None = None

    @property
    def embedder_id(self) -> str:
        """`name:sha256:p<version>-<digest>`: two templates compare only if these are equal.

        The sha256 is the publisher's file's where one is named: what was made of it gives its
        templates. Reads the small `centre` file where there is one: its numbers decide, too.
        """
        centre = _digest(self.centre.read_bytes()) if self.centre else "none"
        facts = (self.input_size, str(self.channel_order), self.mean, self.std, self.flip, centre)
        digest = _digest(repr(facts).encode())[:8]
        published = self.published_sha256 or self.sha256
        return f"{self.name}:{published[:16]}:p{self.preprocessing}-{digest}"

    def small_children(self) -> FaceKind | None:
        """What tells small children's faces; None where the embedder ships nothing that does."""
        from facecli.metrics.face_kinds import from_file  # takes numpy, which facts do not

        return from_file(self.children, self.dimension) if self.children else None

    def of_other_templates(self) -> EmbedderSpec:
        """Less all that was measured on its templates, where others come out."""
        return replace(self, table=None, centre=None, odd=None, children=None)


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """The face detector's file. sha256: 64 lower-case hex digits."""

    name: str
    path: Path
    sha256: str
    licence: str
    commercial_use: bool
    source: str
    card: Path | None = None


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that facecli knows but does not ship. `spec.path` need not exist.

    url: the publisher's file, the ONNX itself or a zip that holds a file called `spec.path.name`.
    url_sha256, url_bytes: of that file.
    """

    spec: EmbedderSpec
    aliases: tuple[str, ...]
    url: str
    url_sha256: str
    url_bytes: int


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
