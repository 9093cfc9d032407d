"""face_recognition as its README uses it. Run by peers.py in an interpreter that has it.

    python peer_face_recognition.py enroll PEOPLE.csv GALLERY.npz
    python peer_face_recognition.py identify PHOTOS.txt GALLERY.npz

`identify` prints a JSON line a photo: the name it gives the largest face, or null.
"""

import csv
import json
import sys
from pathlib import Path

import dlib
import face_recognition
import numpy as np


def main(verb: str, listed: str, gallery: str) -> None:
    if verb == "version":
        print(f"{face_recognition.__version__}, dlib {dlib.__version__}")
    elif verb == "enroll":
        with Path(listed).open(encoding="utf-8") as file:
            rows = [(row["subject"], encoding(row["path"])) for row in csv.DictReader(file)]
        kept = [(name, vector) for name, vector in rows if vector is not None]
        names, vectors = zip(*kept, strict=True)
        np.savez(gallery, names=np.array(names), vectors=np.stack(vectors))
        print(len(kept))
    else:
        known = np.load(gallery)
        for path in Path(listed).read_text(encoding="utf-8").splitlines():
            print(json.dumps({"path": path, "name": name(encoding(path), known)}))


def encoding(path: str) -> "np.ndarray | None":
    """(128,) of the largest face; None where none is found."""
    image = face_recognition.load_image_file(path)
    boxes = face_recognition.face_locations(image)
    if not boxes:
        return None
    box = max(boxes, key=lambda b: (b[2] - b[0]) * (b[1] - b[3]))
    return face_recognition.face_encodings(image, [box])[0]


def name(vector: "np.ndarray | None", known: "np.lib.npyio.NpzFile") -> "str | None":
    """The nearest name where compare_faces, at its default tolerance, says that it matches."""
    if vector is None:
        return None
    nearest = int(np.argmin(face_recognition.face_distance(known["vectors"], vector)))
    matches = face_recognition.compare_faces([known["vectors"][nearest]], vector)
    return str(known["names"][nearest]) if matches[0] else None


if __name__ == "__main__":
    main(*sys.argv[1:], *[""] * (4 - len(sys.argv)))
