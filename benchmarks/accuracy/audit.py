"""Which of lfw-dev's known label faults `facecli gallery audit` finds, and at which rank.

    python -m benchmarks.accuracy.audit ../shared/lfw-dev GALLERY [--judge MODEL]

GALLERY: made of the photos as they are, faults and all: `facecli enroll ../shared/lfw-dev/photos
-g GALLERY`. Which faults can be known of is settled first, without the audit or its embedder:

- Two names of one person: both are enrolled.
- A photo to be left out: its name has other photos to hold it against, or another embedder, the
  judge, finds its face under another name at the threshold of its own table for FPIR 1 % among
  all names. A single photo that is like nobody else's cannot be known of.

A fault is found by the first row that names both subjects, or shows the photo, in doubt or beside.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecli.common.types import Photo
from facecli.evaluation.audit.findings import AuditFinding, FindingKind
from facecli.gallery.gallery import Gallery
from facecli.metrics import reference_table
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.storage.records import mean_template

ROWS, SHARE, FPIR = 60, 0.8, 0.01
Vectors = dict[str, list[np.ndarray]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Of `label-corrections.csv`. photo: a file's name, empty where `names` are two of a person."""

    names: tuple[str, ...]
    photo: str = ""

    def found_by(self, finding: AuditFinding) -> bool:
        """Whether the row tells of it."""
        if self.photo:
            shown = (*finding.suspects, *finding.beside)
            return any(Path(row.path).name == self.photo for row in shown)
        return set(self.names) <= set(finding.subjects)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("--judge", default="sface", metavar="MODEL")
    args = parser.parse_args()
    faults = read(args.root / "label-corrections.csv")
    knowable = knowable_of(faults, args.root / "photos", args.judge)
    with Gallery.open(args.gallery) as gallery:
        audit = gallery.audit()
    print(f"{audit.subjects} subjects, {audit.references} references, {len(audit.findings)} rows")
    ranks = [report(fault, knowable[fault], audit.findings) for fault in faults]
    within = sum(knowable[f] and r <= ROWS for f, r in zip(faults, ranks, strict=True))
    known = sum(knowable.values())
    share = within / known
    print(
        f"{known} of {len(faults)} known faults can be known of; within the first {ROWS} rows: "
        f"{within}, {share:.0%} (at least {SHARE:.0%}: {'yes' if share >= SHARE else 'NO'})"
    )
    print("  ".join(f"{kind}: {count(audit.findings[:ROWS], kind)}" for kind in FindingKind))


def read(path: Path) -> list[Fault]:
    """Every row of `label-corrections.csv`."""
    faults = []
    for row in csv.DictReader(path.open(encoding="utf-8")):
        photo = Path(row["a"])
        drop = row["kind"] == "drop"
        faults.append(
            Fault((photo.parent.name,), photo.name) if drop else Fault((row["a"], row["b"]))
        )
    return faults


def knowable_of(faults: Sequence[Fault], photos: Path, judge: str) -> dict[Fault, bool]:
    """The rule above."""
    people = {folder.name: sorted(folder.glob("*.jpg")) for folder in sorted(photos.iterdir())}
    knowable, single = {}, []
    for fault in faults:
        knowable[fault] = all(name in people for name in fault.names)
        if fault.photo and len(people[fault.names[0]]) == 1:
            single.append(fault)
    for fault, like in zip(single, alike(single, people, judge), strict=True):
        knowable[fault] = like
    return knowable


def alike(faults: Sequence[Fault], people: dict[str, list[Path]], judge: str) -> list[bool]:
    """Whether the judge finds each fault's one photo under another name."""
    spec = registry.find_embedder(judge)
    assert spec.table is not None, f"{judge} has no reference table"
    extractor = Extractor.load(spec)
    paths = [path for files in people.values() for path in files]
    vectors: Vectors = {name: [] for name in people}
    for path, photo in zip(paths, extractor.photos(paths), strict=True):
        if isinstance(photo, Photo) and photo.faces:
            vectors[path.parent.name].append(photo.faces[0].template.vector)
    names = [name for name, found in vectors.items() if found]
    templates = np.stack([mean_template(vectors[name]) for name in names])
    threshold = reference_table.from_file(spec.table, spec.embedder_id).threshold(FPIR, len(names))
    result = []
    for fault in faults:
        scores = templates @ vectors[fault.names[0]][0]
        scores[names.index(fault.names[0])] = -1
        best = int(scores.argmax())
        like = bool(scores[best] >= threshold)
        print(
            f"judge: {fault.photo} {scores[best]:.3f} to {names[best]}, "
            f"{'at or above' if like else 'below'} {threshold:.3f}"
        )
        result.append(like)
    return result


def report(fault: Fault, knowable: bool, findings: Sequence[AuditFinding]) -> float:
    """Print where it was found; the rank, infinite where it was not."""
    row = next((f for f in findings if fault.found_by(f)), None)
    where = f"{row.rank:4} {row.kind}" if row else "   -"
    known = "knowable" if knowable else "not     "
    print(f"{known}  {where:20} {fault.photo or ' = '.join(fault.names)}")
    return row.rank if row else float("inf")


def count(findings: Sequence[AuditFinding], kind: FindingKind) -> int:
    return sum(finding.kind is kind for finding in findings)


if __name__ == "__main__":
    main()
