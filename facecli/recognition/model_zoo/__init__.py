"""Bringing in embedders that facecli does not ship: from a file (`add`) or a publisher (`pull`)."""
