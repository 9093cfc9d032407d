"""Who is trained on, who chooses the epoch, and who judges: people, never photos, are split."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from facecli.common.errors import InputError
from facecli.common.names import name_key
from facecli.datasets.labels import LabelledPhoto

TRAIN_SHARE, SELECT_SHARE = 0.6, 0.15  # of the people with several photos; the others report
STRANGERS_SELECT = 1 / 3  # of the strangers choose, the others report
MOST_PROBES = 10  # photos of one person that are searched for
FEWEST_TRAIN = 2
FEWEST_PANEL = 5  # people to enrol in a panel
FEWEST_STRANGERS = 100  # with fewer no FPIR of 1 % can be told from 0


@dataclass(frozen=True, slots=True)
class Panel:
    """People who are measured on: rows in `Crops`.

    gallery: one of each of n people, enrolled. probes: other photos of theirs, in `owners` the
    place of each one's person in the gallery. strangers: one of each of m other people.
    """

    gallery: tuple[int, ...]
    probes: tuple[int, ...]
    owners: tuple[int, ...]
    strangers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """train: rows; classes: (len(train),) the person of each, from 0; names: of the persons.

    select: chooses the epoch. report: was seen by neither, and judges. remarks: what to know.
    """

    train: tuple[int, ...]
    classes: tuple[int, ...]
    names: tuple[str, ...]
    select: Panel
    report: Panel
    remarks: tuple[str, ...]


def split(
    own: Mapping[str, Sequence[int]],
    good: Sequence[bool],
    judges: Mapping[str, Sequence[int]],
    strangers: Mapping[str, Sequence[int]],
    seed: int,
    twice: Sequence[bool] | None = None,
) -> Split:
    """Draw it, by chance and the seed.

    own: the rows of each person's photos, by `name_key`. good: of every row, whether it may be
    enrolled and trained on. judges: people of --validate-dir, who then choose and report while all
    of `own` are trained on; empty to split `own`. strangers: people of --strangers. People with one
    photo are strangers, too, wherever they come from. twice: of every row, whether its photo has a
    degraded face beside it; None where nothing is degraded. Two looks of one photo can be learnt
    from, so as many of `own` with one photo as strangers can be spared are trained on, too, at most
    their share.
    Raises InputError where there are too few of any kind, with the numbers.
    """
    draw = random.Random(seed)
    several = _shuffled((name for name in own if _usable(own[name], good)), draw)
    if len(own) < 2:
        raise InputError(
            "training takes photos of several people, a folder each; there is one person. To know "
            "one person better, enroll more photos of that person"
        )
    if judges:
        train, judging, rows = several, _shuffled(_several(judges, good), draw), judges
        select_count = len(judging) // 2
    else:
        count = round(len(several) * TRAIN_SHARE)
        train, judging, rows = several[:count], several[count:], own
        select_count = round(len(several) * SELECT_SHARE)
    one_photo = _alone(own, good)
    alone = {**(_alone(judges, good) if judges else one_photo), **strangers}
    taught = _shuffled(_seen_twice(one_photo, good, twice), draw)
    if not judges:  # then they are the strangers, of whom enough must be left
        spared = max(0, len(alone) - round(FEWEST_STRANGERS / STRANGERS_SELECT))
        taught = taught[: min(round(len(one_photo) * TRAIN_SHARE), spared)]
    several_count, train = len(train), train + taught
    idle = one_photo.keys() - taught if judges else set[str]()
    single = _shuffled((name for name in alone if name not in set(taught)), draw)
    cut = round(len(single) * STRANGERS_SELECT)
    selecting, reporting = judging[:select_count], judging[select_count:]
    found = {
        "people with two photos or more to train on": (several_count, FEWEST_TRAIN),
        "people with two photos or more to choose by": (len(selecting), FEWEST_PANEL),
        "people with two photos or more to report on": (len(reporting), FEWEST_PANEL),
        "strangers to choose by": (cut, FEWEST_STRANGERS),
        "strangers to report on": (len(single) - cut, FEWEST_STRANGERS),
    }
    if short := [
        f"{n} {what}, {least} are needed" for what, (n, least) in found.items() if n < least
    ]:
        raise InputError(
            f"too few to validate: {'; '.join(short)}. People with one photo are the strangers: "
            "add some with --strangers DIR, and people with --validate-dir DIR"
        )
    examples = [(row, i) for i, name in enumerate(train) for row in own[name] if good[row]]
    return Split(
        tuple(row for row, _ in examples),
        tuple(i for _, i in examples),
        tuple(train),
        _panel(selecting, rows, good, [alone[name] for name in single[:cut]], draw),
        _panel(reporting, rows, good, [alone[name] for name in single[cut:]], draw),
        _left_out(idle),
    )


def people(photos: Sequence[LabelledPhoto], rows: Iterable[int]) -> dict[str, list[int]]:
    """The rows of each person, by `name_key`, in the order of names."""
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(name_key(photos[row].subject), []).append(row)
    return dict(sorted(found.items()))


def _panel(
    names: Sequence[str],
    rows: Mapping[str, Sequence[int]],
    good: Sequence[bool],
    strangers: Sequence[Sequence[int]],
    draw: random.Random,
) -> Panel:
    gallery, probes, owners = list[int](), list[int](), list[int]()
    for place, name in enumerate(sorted(names)):
        drawn = _shuffled(rows[name], draw)
        enrolled = next(row for row in drawn if good[row])
        others = [row for row in drawn if row != enrolled][:MOST_PROBES]
        gallery.append(enrolled)
        probes += others
        owners += [place] * len(others)
    single = tuple(_shuffled(one, draw)[0] for one in strangers)
    return Panel(tuple(gallery), tuple(probes), tuple(owners), single)


def _several(rows: Mapping[str, Sequence[int]], good: Sequence[bool]) -> list[str]:
    return [name for name in rows if _usable(rows[name], good)]


def _usable(rows: Sequence[int], good: Sequence[bool]) -> bool:
    """Whether a person has a photo to enrol and another one to search for."""
    return len(rows) > 1 and any(good[row] for row in rows)


def _alone(rows: Mapping[str, Sequence[int]], good: Sequence[bool]) -> dict[str, Sequence[int]]:
    return {name: rows[name] for name in rows if not _usable(rows[name], good)}


def _seen_twice(
    alone: Mapping[str, Sequence[int]], good: Sequence[bool], twice: Sequence[bool] | None
) -> list[str]:
    """Who of these has a good photo with a degraded face beside it."""
    if twice is None:
        return []
    return [name for name, rows in alone.items() if any(good[row] and twice[row] for row in rows)]


def _left_out(idle: Collection[str]) -> tuple[str, ...]:
    if not idle:
        return ()
    return (f"people with one usable photo teach nothing and are not trained on: {len(idle):,}",)


def _shuffled(items: Iterable, draw: random.Random) -> list:  # type: ignore[type-arg]
    # Only random() itself is promised to give the same numbers in every Python.
    drawn = [(draw.random(), item) for item in items]
    return [item for _, item in sorted(drawn, key=lambda pair: pair[0])]
