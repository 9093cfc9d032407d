"""One decision a track, beside "any frame" and "majority": strangers named, enrolled found.

    python -m benchmarks.accuracy.video ../shared/lfw-dev --cache DIR --clips DIR

Clips of 14-frame shots (see shots.py) go through the real decoder, detector and tracker: people
each in a part of the picture, two who cross, hard cuts, a person who stays through one. At each N
the same tracks are searched for by three rules at the same operating point, target FPIR 1 %:
facecli's (the mean template of a track's best faces), any frame of the track that reaches its
threshold, and the name that most of its frames give. Faces below the quality bar give no name by
any rule. The reference table is made without the strangers and the first 200 enrolled; for N =
1,000 too few people are left, and the shipped one, which knows the strangers' photos, serves.
Takes about ten minutes of one processor; --clips keeps the clips.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tabulate import tabulate

from benchmarks.accuracy import protocol, rules, shots
from benchmarks.accuracy.tables import table_without
from facecli.common.types import FaceTemplate, Image
from facecli.metrics import gallery_fit
from facecli.metrics.face_kinds import FaceKinds
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.glimpses import Glimpse, Look
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR
from facecli.threshold import operating_point
from facecli.video import frames
from facecli.video.frames import Sampling
from facecli.video.templates import Tracking, tracks

TARGET = 0.01
SIZES = (10, 50, 200, 1000)
STRANGERS = 1050
MATED, EACH = 50, 3  # enrolled people who appear, and in how many clips at most
LEFT_OUT = 200  # the enrolled without whom the table is made
RULES = ("facecli", "any frame", "majority")
Photo = tuple[Path, str]
Appearance = tuple[str, str]  # a clip and a person


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A track. appearance: the clip, and who it shows most; nobody where that is somebody in a
    photo's background. right: of its frames those that show that person. vectors: (frames, d) of
    those that reach the quality bar. best: (d,) the track's template; quality: its best face's.
    """

    appearance: Appearance
    frames: int
    right: int
    vectors: np.ndarray
    best: np.ndarray
    quality: float


class Recorder:
    """An extractor that keeps every face, and counts those that the tracker has embedded."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self.spec = extractor.spec
        self.seen: list[tuple[Glimpse, ...]] = []
        self.embedded = self.faces = 0

    def glimpses(self, image: Image) -> tuple[Glimpse, ...]:
        found = self._extractor.glimpses(image)
        self.seen.append(found)
        self.faces += len(found)
        return found

    def look(self, seen: Sequence[Glimpse]) -> tuple[Look, ...]:
        self.embedded += len(seen)
        return self._extractor.look(seen)

    def every(self, track: FaceTemplate) -> np.ndarray:
        """The templates of all frames of a track that reach the bar."""
        assert track.track is not None
        boxes = {box for _, box in track.track.boxes}
        own = [one for frame in self.seen for one in frame if one.face.box in boxes]
        made = [look.found for look in self._extractor.look(own)]
        good = [one.template.vector for one in made if one.face.quality >= DEFAULT_BAR]
        return np.array(good, np.float32).reshape(-1, self.spec.dimension)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    parser.add_argument("--clips", type=Path, help="a folder that keeps the clips")
    parser.add_argument("--strangers", type=int, default=STRANGERS)
    args = parser.parse_args()
    people = protocol.load(args.root, args.model, args.cache)
    rng = np.random.default_rng(0)
    several = rng.permutation(people.with_at_least(2))
    singles = rng.permutation(people.single())
    strangers, others = singles[: args.strangers], singles[args.strangers :]
    enrolled = np.concatenate([several, others])[: SIZES[-1]]
    with TemporaryDirectory() as scratch:
        folder = args.clips or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        mated = [
            (_path(args.root, people, row), str(s))
            for which in range(1, EACH + 1)  # so that nobody is twice in a clip
            for s in enrolled[:MATED]
            for row in people.rows(s)[which : which + 1]
        ]
        unknown = [(_path(args.root, people, people.rows(s)[0]), str(s)) for s in strangers]
        recorder = Recorder(Extractor.load(registry.find_embedder(args.model)))
        acted: list[Appearance] = []
        found = [
            track
            for which, cast in (("s", unknown), ("m", mated))
            for track in _tracks(recorder, cast, folder, which, acted)
        ]
    _report_tracks(found, recorder, acted)
    outside = table_without(people, np.concatenate([strangers, enrolled[:LEFT_OUT]]))
    shipped = operating_point.built_in_table(recorder.spec)
    rows = []
    for n in SIZES:
        table = outside if n <= LEFT_OUT or shipped is None else shipped
        rows += _at(n, people, enrolled[:n], table, found, acted)
    header = ("N", "rule", "tracks", "strangers named", "appearances", "enrolled found")
    print(tabulate(rows, header, disable_numparse=True))


def _path(root: Path, people: protocol.People, row: int) -> Path:
    return root / "photos" / str(people.names[row])


def _tracks(
    recorder: Recorder, cast: Sequence[Photo], folder: Path, which: str, acted: list[Appearance]
) -> Iterator[Found]:
    """The tracks of clips in which everybody of the cast appears once. acted: is added to."""
    rng = np.random.default_rng(ord(which))
    left, number = list(cast), 0
    while left:
        script, left = _script(left, number, cast, rng)
        path = folder / f"{which}-{number}.mp4"
        truth = shots.write(path, script, number)
        acted += sorted({(path.stem, one.person) for frame in truth for one in frame})
        recorder.seen.clear()
        read = frames.read(path, Sampling())
        for found in tracks(recorder, read, Tracking(boxes=True, workers=1)):  # type: ignore[arg-type]
            assert isinstance(found, FaceTemplate), found
            yield _judged(recorder, path.stem, found, truth)
        number += 1


def _script(
    left: list[Photo], number: int, cast: Sequence[Photo], rng: np.random.Generator
) -> tuple[list[shots.Shot], list[Photo]]:
    """Two shots of the next people. A photo of the others, far out of focus, is the scenery."""
    one, other = (cast[i][0] for i in rng.integers(0, len(cast), 2))
    if number % 4 == 0 and len(left) >= 5:  # two cross, then three
        script = [shots.crossing(left[0], left[1], one, rng), shots.three(left[2:5], other, rng)]
        return script, left[5:]
    if number % 4 == 1 and len(left) >= 4:  # the first of three stays through the cut
        script = [shots.three(left[:3], one, rng), shots.three([left[3], left[0]], other, rng)]
        return script, left[4:]
    if number % 4 == 2 and len(left) >= 2:  # another face in the same place and scenery
        script = [shots.three(left[:1], one, rng), shots.three(left[1:2], one, rng)]
        return script, left[2:]
    script = [shots.three(some, where, rng) for some, where in ((left[:3], one), (left[3:6], other))
              if some]  # fmt: skip
    return script, left[6:]


def _judged(
    recorder: Recorder, clip: str, found: FaceTemplate, truth: Sequence[Sequence[shots.Truth]]
) -> Found:
    assert found.track is not None
    seen: Counter[str] = Counter()
    for seconds, (x1, y1, x2, y2) in found.track.boxes:
        near = [
            (float(np.hypot(t.x - (x1 + x2) / 2, t.y - (y1 + y2) / 2)), t)
            for t in truth[min(len(truth) - 1, round(seconds * shots.RATE))]
        ]
        away, who = min(near, key=lambda pair: pair[0])
        seen[who.person if away < 0.3 * who.tall else ""] += 1
    person, right = seen.most_common(1)[0]
    return Found((clip, person), seen.total(), right, recorder.every(found), found.template.vector,
                 found.face.quality)  # fmt: skip


def _report_tracks(found: Sequence[Found], recorder: Recorder, acted: Sequence[Appearance]) -> None:
    own = [track for track in found if track.appearance[1]]
    purity = sum(track.right for track in own) / sum(track.frames for track in own)
    seen = len({track.appearance for track in own})
    share = recorder.embedded / recorder.faces
    print(f"tracks {len(own):,} of {seen:,} appearances ({len(acted):,} acted), and "
          f"{len(found) - len(own)} of people in the photos' backgrounds")  # fmt: skip
    print(f"track purity {purity:.4f} (must be >= .98), pieces an appearance "
          f"{len(own) / seen:.3f} (at most 1.2)")  # fmt: skip
    print(f"faces found {recorder.faces:,}, embedded {recorder.embedded:,} ({share:.0%})\n")


def _at(
    n: int, people: protocol.People, enrolled: np.ndarray, table: ReferenceTable,
    found: Sequence[Found], acted: Sequence[Appearance],
) -> Iterator[tuple[object, ...]]:  # fmt: skip
    """A row a rule."""
    templates = people.photo(enrolled, 0)
    kinds = FaceKinds(table.crowding, people.children)
    observed = gallery_fit.observe(templates, np.arange(n), templates, (), kinds)
    inputs = operating_point.ThresholdInputs("benchmark", n, table, own_scores=observed)
    point = operating_point.at_fpir(inputs, TARGET)

    def named(vectors: np.ndarray) -> list[str]:
        """Whom each is named; empty where unknown."""
        if not len(vectors):
            return []
        scores = vectors @ templates.T
        sure = rules.named(point, table, vectors, templates)
        who = scores.argmax(axis=1)
        return [str(enrolled[i]) if yes else "" for i, yes in zip(who, sure, strict=True)]

    def answers(track: Found) -> tuple[set[str], set[str], set[str]]:
        each = Counter(named(track.vectors))
        best = named(track.best[None]) if track.quality >= DEFAULT_BAR else []
        most = {name for name, count in each.items() if 2 * count > len(track.vectors)}
        return set(best) - {""}, set(each) - {""}, most - {""}

    told = [(track.appearance, answers(track)) for track in found]
    stranger = [answer for (clip, person), answer in told if clip[0] == "s" and person]
    here = {str(subject) for subject in enrolled}
    mated = [one for one in acted if one[0][0] == "m" and one[1] in here]
    for i, rule in enumerate(RULES):
        wrong = sum(bool(answer[i]) for answer in stranger)
        right = {one for one, answer in told if answer[i] == {one[1]}}
        yield (f"{n:,}", rule, f"{len(stranger):,}", f"{wrong} ({wrong / len(stranger):.2%})",
               len(mated), f"{np.mean([one in right for one in mated]):.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
