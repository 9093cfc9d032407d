"""The words that results are made of, as enums. No numpy here: the command line needs them fast."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What a search came to.

    POSSIBLE, a lead and no answer: where that was asked for, where the face is one of two who
    were said to be distinct, and nothing says which, and where it is a small child's.
    """

    IDENTIFIED = "identified"
    POSSIBLE = "possible"
    UNKNOWN = "unknown"
    LOW_QUALITY = "low_quality"
    NO_FACE = "no_face"
    FAILED = "failed"


class Device(StrEnum):
    """Where the embedder runs. AUTO takes the first accelerator that works, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    COREML = "coreml"
    DIRECTML = "directml"
    OPENVINO = "openvino"


class DetectorName(StrEnum):
    """What runs the face detector: onnxruntime (YUNET), or OpenCV's FaceDetectorYN to compare."""

    YUNET = "yunet"
    OPENCV = "opencv"


class FacesRule(StrEnum):
    """Which faces of a photo are enrolled.

    CLEAR: the most prominent one, where no other comes near it; else the photo is refused.
    LARGEST: the most prominent one all the same. ONLY_ONE refuses a photo with several.
    """

    CLEAR = "clear"
    LARGEST = "largest"
    ALL = "all"
    ONLY_ONE = "only-one"


class Reason(StrEnum):
    """Why a photo or a face gave no template (ISO/IEC 19795-1: failure to acquire)."""

    NOT_FOUND = "not found"
    UNREADABLE = "cannot be read"
    NOT_AN_IMAGE = "not an image"
    TRUNCATED = "truncated or damaged"
    TOO_LARGE = "too many pixels"
    NEEDS_EXTRA = "needs an optional extra"
    NO_VIDEO = "no video that can be read"
    NO_FACE = "no face found"
    SEVERAL_FACES = "more than one face"
    NO_NAME = "names nobody"
    DEGENERATE = "degenerate landmarks"
    LOW_QUALITY = "low quality"
    SMALL_CHILD = "a small child's face"
    CHANGED = "changed since it was enrolled"
    TAG = "face tag not used"


class Basis(StrEnum):
    """Where a threshold comes from."""

    REFERENCE_TABLE = "reference table"
    SHIFTED_TABLE = "reference table shifted by your pairs"
    PAIRS = "your pairs"
    SHIFTED_BY_STRANGERS = "reference table shifted by your strangers"
    STRANGERS = "your strangers"
    OWN_PEOPLE = "the gallery's own people"
    BY_HAND = "set by hand"


class Target(StrEnum):
    """The error rate that a threshold was chosen for."""

    FPIR = "FPIR"
    FMR = "FMR"
    NONE = "none"


class IndexKind(StrEnum):
    """What a search starts from.

    FLAT: every template, in memory. SIDECAR: a file beside the gallery. MISSING: none, and the
    next search makes one. ENGINE: Milvus's own.
    """

    FLAT = "flat"
    SIDECAR = "sidecar"
    MISSING = "missing"
    ENGINE = "engine"


class ChangeKind(StrEnum):
    """A change of the gallery that can be undone."""

    RENAME = "rename"
    MERGE = "merge"
    REMOVE = "remove"
    REMOVE_REFERENCE = "remove reference"
    DISTINCT = "distinct"
    NOT_DISTINCT = "not distinct"
    THRESHOLD = "threshold"


class LogAction(StrEnum):
    """What the audit log tells of."""

    ON = "log on"
    OFF = "log off"
    ENROLLED = "enrolled"
    RENAMED = "renamed"
    MERGED = "merged"
    REMOVED = "removed"
    DISTINCT = "said to be distinct"
    NOT_DISTINCT = "no longer said to be distinct"
    UNDONE = "undone"
    PURGED = "purged"
    SEARCHED = "searched"
    RE_EMBEDDED = "re-embedded"
    THRESHOLD = "threshold changed"


class LossName(StrEnum):
    """What `train` can learn by; each one's formula stands in `training.losses`."""

    ARCFACE = "arcface"
    COSFACE = "cosface"
    SPHEREFACE = "sphereface"
    COMBINED = "combined"
    SOFTMAX = "softmax"
    NORMSOFTMAX = "normsoftmax"
    TRIPLET = "triplet"
    CENTER = "center"
    INTRA = "intra"
    INTER = "inter"


class Part(StrEnum):
    """How much of a network is trained.

    HEAD: its last layer with a matrix of weights, and what follows. LAST: the fewest layers at its
    end that hold three tenths of all weights. ALL: everything.
    """

    HEAD = "head"
    LAST = "last"
    ALL = "all"


class TagPlace(StrEnum):
    """Where names are written for other programs to read. SIDECAR: an .xmp file beside a photo."""

    SIDECAR = "sidecar"


class GroupState(StrEnum):
    """What a group of faces is to the person who looks through them.

    FOUND: by likeness alone; it may change as more photos come. KEPT: as a person put it together.
    IGNORED: nobody who matters. OFFERED: of somebody enrolled, found by a search and not enrolled
    themselves. NAMED: enrolled.
    """

    FOUND = "found"
    KEPT = "kept"
    IGNORED = "ignored"
    OFFERED = "offered"
    NAMED = "named"

    @property
    def decided(self) -> bool:
        """Whether a person made it what it is, so that nothing takes faces out of it."""
        return self in (GroupState.KEPT, GroupState.IGNORED, GroupState.NAMED)


class LinkKind(StrEnum):
    """Why a link between two faces is worth a look.

    REFUSED: at or above the threshold, between groups whose means are not, or that one photo shows
    side by side, or that a person keeps apart. NEAR: between groups, little below. WEAK: in a
    group, little above, and nothing stronger holds its two sides together.
    """

    REFUSED = "refused"
    NEAR = "near"
    WEAK = "weak"
