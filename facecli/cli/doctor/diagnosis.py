"""What a diagnosis is made of. Nothing heavy is imported: it may be what is broken."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facecli.common.errors import FacecliError

BROKEN = (ImportError, AttributeError, OSError, FacecliError)  # what a bad installation raises


class Part(StrEnum):
    """What a check is about."""

    RUNTIME = "runtime"
    DEVICES = "devices"
    FOLDERS = "folders"
    MODELS = "models"
    GALLERY = "gallery"
    EXTRAS = "extras"


class Verdict(StrEnum):
    """NOTE: works as it is, and could do more."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. fix: a command or advice in one line; every fault has one."""

    part: Part
    name: str
    verdict: Verdict
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was looked at, part by part."""

    checks: tuple[Check, ...]

    @property
    def faults(self) -> tuple[Check, ...]:
        """What must be mended."""
        return tuple(c for c in self.checks if c.verdict is Verdict.FAULT)


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
