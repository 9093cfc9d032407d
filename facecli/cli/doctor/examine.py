"""The parts, one after the other."""

from __future__ import annotations

from pathlib import Path

from facecli.cli.doctor.devices import devices
from facecli.cli.doctor.diagnosis import Diagnosis
from facecli.cli.doctor.disk import folders, models
from facecli.cli.doctor.enrolled import enrolled
from facecli.cli.doctor.runtime import extras, runtime


def examine(gallery: Path | None = None, key_file: str | None = None) -> Diagnosis:
    """Look at everything and change nothing but an older gallery's schema, as every command does.

    gallery: None looks at the default one, which need not be there. key_file: where an encrypted
    one's key is, see `keys.read_key`. Raises nothing: what fails is a check at fault.
    """
    parts = (runtime(), devices(), folders(), models(), enrolled(gallery, key_file), extras())
    return Diagnosis(tuple(check for part in parts for check in part))
