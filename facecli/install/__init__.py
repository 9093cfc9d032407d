"""Bringing in embedders that facecli does not ship: from a file (`add`) or a publisher (`pull`)."""

from facecli.install.local import Preprocessing, add
from facecli.install.remote import pull

__all__ = ["Preprocessing", "add", "pull"]
