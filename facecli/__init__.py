"""facecli: face identification with a gallery, and a threshold that is measured, not guessed.

    from pathlib import Path
    from facecli import Gallery, labelled

    with Gallery.open("people.facecli", create=True) as gallery:
        gallery.enroll(labelled([Path("photos")]).photos)
        for decision in gallery.identify([Path("query.jpg")]):
            print(decision.subject, decision.outcome)

Names load when first used, so `import facecli` is instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facecli.common.version import __version__ as __version__

_HOME_OF = {
    "ChannelOrder": "facecli.recognition.model_zoo.specs",
    "Gallery": "facecli.gallery.gallery",
    "Decision": "facecli.common.types",
    "Device": "facecli.common.enums",
    "FacecliError": "facecli.common.errors",
    "FacesRule": "facecli.common.enums",
    "LabelledPhoto": "facecli.datasets.labels",
    "OperatingPoint": "facecli.common.types",
    "Outcome": "facecli.common.enums",
    "Target": "facecli.common.enums",
    "labelled": "facecli.datasets.labels",
    "read_pairs": "facecli.datasets.pairs",
    "read_people": "facecli.threshold.from_strangers",
    "to_dataframe": "facecli.report.dataframe",
}

if TYPE_CHECKING:
    from facecli.common.enums import Device as Device
    from facecli.common.enums import FacesRule as FacesRule
    from facecli.common.enums import Outcome as Outcome
    from facecli.common.enums import Target as Target
    from facecli.common.errors import FacecliError as FacecliError
    from facecli.common.types import Decision as Decision
    from facecli.common.types import OperatingPoint as OperatingPoint
    from facecli.datasets.labels import LabelledPhoto as LabelledPhoto
    from facecli.datasets.labels import labelled as labelled
    from facecli.datasets.pairs import read_pairs as read_pairs
    from facecli.gallery.gallery import Gallery as Gallery
    from facecli.recognition.model_zoo.specs import ChannelOrder as ChannelOrder
    from facecli.report.dataframe import to_dataframe as to_dataframe
    from facecli.threshold.from_strangers import read_people as read_people


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'facecli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*_HOME_OF, "__version__"])
