"""What can go wrong, and the exit code each kind of trouble ends the command with.

Every message says what is wrong and what to do about it. A bad photo is not here:
it is data (`types.FailureToAcquire`), because one bad photo never stops a folder.
"""


class FacecliError(Exception):
    """Base of every error that facecli raises on purpose; `exit_code` is what the shell sees."""

    exit_code = 1


class UsageError(FacecliError):
    """The arguments do not fit together."""

    exit_code = 2


class MisuseError(UsageError):
    """The library was used as it cannot be: after close, from another thread, within a read."""


class InputError(FacecliError):
    """A photo, folder or table given by the user cannot be used."""

    exit_code = 3


class GalleryError(FacecliError):
    """The gallery file is missing, damaged, not ours, or refuses the request."""

    exit_code = 4


class EmbedderMismatchError(GalleryError):
    """The gallery was made by another embedder, so its scores mean nothing with this one."""


class ModelError(FacecliError):
    """A model is missing, damaged, or does not fit its description."""

    exit_code = 5


class DeviceError(ModelError):
    """The device that was asked for is not there or cannot run the model."""


class SchedulerError(ModelError):
    """The Dask scheduler or its workers are not there, or cannot run the model."""


class LicenceError(ModelError):
    """A model's licence was not accepted."""


class CalibrationError(FacecliError):
    """The data given cannot support a threshold."""

    exit_code = 6


class OutputError(FacecliError):
    """Stdout or an output file cannot be written: no room, no right, no such folder."""

    exit_code = 74  # EX_IOERR of sysexits.h
