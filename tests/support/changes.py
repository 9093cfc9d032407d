"""Changes of a gallery, drawn by chance, and a model of what it must hold after them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.galleries import reference

from facecli.storage import export
from facecli.storage.interface import Group
from facecli.storage.maintenance.backup import backup
from facecli.storage.records import CalibrationRow
from facecli.storage.search import candidates
from facecli.storage.sqlite.store import GalleryFile

EXPORTS, EACH = 6, 4
Change = tuple[str, ...]


@dataclass
class Model:
    """What the gallery must hold. people: name to photo numbers; journal: how to undo, by name,
    of a threshold with the one before.
    """

    people: dict[str, frozenset[int]] = field(default_factory=dict)
    journal: list[tuple[str, str, str, frozenset[int], frozenset[int]]] = field(
        default_factory=list
    )
    threshold: float | None = None

    def apply(self, change: Change) -> None:
        verb, *words = change
        nothing = frozenset[int]()
        if verb == "add":
            self.people[words[0]] = self.people.get(words[0], nothing) | {int(words[1])}
        elif verb == "import":
            for name, number in imported(int(words[0])):
                self.people[name] = self.people.get(name, nothing) | {number}
        elif verb == "rename":
            self.people[words[1]] = self.people.pop(words[0])
            self.journal.append((verb, words[0], words[1], nothing, nothing))
        elif verb == "merge":
            moved, kept = self.people.pop(words[0]), self.people[words[1]]
            self.people[words[1]] = kept | moved
            self.journal.append((verb, words[0], words[1], moved, moved - kept))
        elif verb == "remove":
            self.journal.append((verb, words[0], "", self.people.pop(words[0]), nothing))
        elif verb == "undo":
            self._undo()
        elif verb == "purge":
            self.journal = [row for row in self.journal if row[0] == "calibrate"]
        elif verb == "calibrate":
            self.journal.append((verb, "", repr(self.threshold), nothing, nothing))
            self.threshold = float(words[0])

    def _undo(self) -> None:
        verb, name, other, had, moved = self.journal.pop()
        if verb == "calibrate":
            self.threshold = None if other == "None" else float(other)
        elif verb == "rename":
            self.people[name] = self.people.pop(other)
        else:
            self.people[name] = had
        if verb == "merge":
            self.people[other] -= moved

    def next(self, draw: random.Random, number: int) -> Change:
        """A change that it allows; `number` is not used before."""
        names = sorted(self.people)
        verbs = ["add"] * 4 + ["import", "calibrate", "backup", "export", "sidecar", "purge"]
        if len(names) > 3:
            verbs += ["rename", "merge", "remove"] * 2
        if self.journal and self.journal[-1][1] not in self.people:
            verbs += ["undo"] * 3
        verb = draw.choice(verbs)
        two = draw.sample(names, 2) if len(names) > 3 else names
        return {
            "add": ("add", draw.choice([*names, f"S{number}"]), str(number)),
            "import": ("import", str(draw.randrange(EXPORTS))),
            "rename": ("rename", *two[:1], f"R{number}"),
            "merge": ("merge", *two),
            "remove": ("remove", *two[:1]),
            "calibrate": ("calibrate", str(draw.randrange(100) / 100)),
        }.get(verb, (verb, str(number)))


def imported(which: int) -> list[tuple[str, int]]:
    """(name, photo) of what the export number `which` holds."""
    return [(f"I{which}-{i}", 1_000_000 + 100 * which + i) for i in range(EACH)]


def do(store: GalleryFile, change: Change) -> None:
    """Make the change."""
    verb, *words = change
    folder = store.path.parent
    doing: dict[str, Callable[[], object]] = {
        "add": lambda: store.add([reference(words[0], int(words[1]))]),
        "import": lambda: export.import_(store, folder.parent / f"in-{words[0]}"),
        "rename": lambda: store.rename(*words),
        "merge": lambda: store.merge(*words),
        "remove": lambda: store.remove(words[0]),
        "undo": store.journal.undo,
        "purge": lambda: store.erase(Group.REMOVED),
        "calibrate": lambda: store.calibrate(by_hand(float(words[0]))),
        "backup": lambda: backup(store, folder / f"backup-{words[0]}"),
        "export": lambda: export.export(store.reader, folder / f"export-{words[0]}"),
        "sidecar": lambda: store.path.with_name("g.rabitq").unlink(missing_ok=True),
    }
    doing[verb]()
    if store.reader.subject_count():
        candidates.keep_in_step(store.reader)


def by_hand(threshold: float) -> CalibrationRow:
    return CalibrationRow("set by hand", "none", None, threshold, None, "by hand", "2026")


def words_of(change: Change, folder: Path) -> list[str | Path] | None:
    """The command that makes the change; None where there is none."""
    verb, *words = change
    if verb == "import":
        return ["gallery", "import", folder.parent / f"in-{words[0]}", "--model", "made-up"]
    if verb in ("rename", "merge", "remove"):
        return ["gallery", *change]
    return {
        "undo": ["gallery", "undo"],
        "purge": ["gallery", "purge", "--removed", "--yes"],
        "backup": ["gallery", "backup", folder / f"backup-{words[0]}"],
        "export": ["gallery", "export", folder / f"export-{words[0]}"],
    }.get(verb)
