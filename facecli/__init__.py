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

__version__ = "0.1.0"

_HOME_OF = {
    "Gallery": "facecli.gallery",
    "Decision": "facecli.types",
    "Device": "facecli.terms",
    "FacecliError": "facecli.errors",
    "FacesRule": "facecli.terms",
    "LabelledPhoto": "facecli.layouts",
    "OperatingPoint": "facecli.types",
    "Outcome": "facecli.terms",
    "Target": "facecli.terms",
    "labelled": "facecli.layouts",
    "read_pairs": "facecli.trials",
    "read_people": "facecli.strangers",
}

if TYPE_CHECKING:
    from facecli.errors import FacecliError as FacecliError
    from facecli.gallery import Gallery as Gallery
    from facecli.layouts import LabelledPhoto as LabelledPhoto
    from facecli.layouts import labelled as labelled
    from facecli.strangers import read_people as read_people
    from facecli.terms import Device as Device
    from facecli.terms import FacesRule as FacesRule
    from facecli.terms import Outcome as Outcome
    from facecli.terms import Target as Target
    from facecli.trials import read_pairs as read_pairs
    from facecli.types import Decision as Decision
    from facecli.types import OperatingPoint as OperatingPoint


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'facecli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*_HOME_OF, "__version__"])
