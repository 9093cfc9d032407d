"""The README's picture: two portraits in one photo, one of whom is enrolled.

    python examples/who.py --picture docs/pictures/who.jpg

Both portraits are in the public domain (US Navy, NASA) and come with matplotlib and scikit-image.
Needs the extra `demo`: pip install 'facecli[demo]'.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from facecli import Gallery
from facecli.cli.demo import prepare
from facecli.common.types import Image
from facecli.datasets.labels import labelled
from facecli.report.annotate import annotate, save

HEIGHT = 400  # px, of both portraits


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, default=Path("who.jpg"))
    picture = parser.parse_args().picture
    with tempfile.TemporaryDirectory() as name:
        photos = prepare(Path(name))
        both = np.hstack([_shown(photos.again), _shown(photos.stranger)])
        cv2.imwrite(f"{name}/both.png", both)
        with Gallery.open(photos.gallery, create=True) as gallery:
            gallery.enroll(labelled([photos.known]).photos)
            faces = list(gallery.identify([Path(name) / "both.png"]))
    for face in faces:
        print(face.outcome, face.subject or "")
    save(annotate(both, faces), picture)


def _shown(path: Path) -> Image:
    """A portrait in the picture's height, BGR."""
    image = cv2.imread(str(path))
    height, width = image.shape[:2]
    return cv2.resize(image, (round(width * HEIGHT / height), HEIGHT), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
