"""Every command that writes, cut off at each of its steps; what is left is looked at each time.

A command is recorded once, see `disk`. Then, for each point and each kind of cut: the gallery opens
under its old key or its new one, and holds what it held before or holds afterwards; `check` says
that it is sound, or what is unfinished; the same command ends it; nothing that was to be erased or
encrypted is left in the clear. What the command had reported by then is there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.disk import Cut, Disk, Operation, record
from support.galleries import (
    environment,
    hopper,
    new_store,
    old_gallery,
    reference,
    unit_vector,
    variant,
)
from support.networks import network
from typer.testing import CliRunner

from facecli.cli.app import app
from facecli.common.errors import FacecliError
from facecli.storage import export, keys
from facecli.storage.maintenance import encryption
from facecli.storage.maintenance.backup import backup
from facecli.storage.search import candidates, sidecar
from facecli.storage.sqlite.store import GalleryFile

PEOPLE = [f"Somebody {i}" for i in range(8)]
GONE = PEOPLE[3]
MODEL = ("--channel-order", "RGB", "--mean", "127.5", "--std", "128", "--no-flip", "--name", "grid")
SETTLE = (
    "import sys; from pathlib import Path; from facecli.storage.search import candidates\n"
    "from facecli.storage.sqlite.store import GalleryFile\n"
    "candidates.SIDECAR_FROM = 1\n"
    "store = GalleryFile.open(Path(sys.argv[1])); store.settle(); store.close(); print('made')"
)

COPY = (  # `facecli gallery copy` of a gallery that does not go over in one piece
    "import sys; from facecli import cli; from facecli.storage import copying\n"
    "copying.AT_ONCE = 3; sys.argv[1:1] = ['gallery', 'copy']; cli.main()"
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs facecli's commands here: thousands of them, too many for a process each."""

    home: Path

    def __call__(self, *words: str | Path) -> Done:
        home = {"FACECLI_HOME": str(self.home), "FACECLI_GALLERY": None, "FACECLI_KEY_FILE": None}
        done = CliRunner().invoke(app, list(map(str, words)), env=home)
        if isinstance(done.exception, FacecliError):
            return Done(done.exception.exit_code, done.stdout, str(done.exception))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command runs. here: the folder that is watched; more: beside it, what is only read.

    told: whether it had reported what it did. name: the gallery's.
    """

    here: Path
    more: Path
    facecli: InProcess
    told: bool = True
    name: str = "g"

    @property
    def gallery(self) -> Path:
        return self.here / self.name

    def key(self, which: str) -> keys.Key | None:
        return keys.read_key(str(self.more / which)) if which else None

    def people(self, key: str = "", path: Path | None = None) -> list[str]:
        """Who is enrolled in a gallery that is sound and whose templates are theirs."""
        with closing(GalleryFile.open(path or self.gallery, self.key(key))) as store:
            assert store.reader.check() == []
            found = list(store.reader.references())
            for row in found:
                number = int(row.photo_sha256, 16)
                assert row.template.vector.tobytes() == unit_vector(number).tobytes(), row
            return sorted(row.subject for row in found)

    def check(self, *key: str | Path) -> Done:
        done = self.facecli("gallery", "check", "-g", self.gallery, *key)
        assert done.code in (0, 4), done.err
        return done

    def holds(self, *sought: bytes) -> list[Path]:
        """Files that hold any of it in the clear."""
        files = [path for path in self.here.rglob("*") if path.is_file()]
        return [path for path in files if any(s in path.read_bytes() for s in sought)]

    def sidecars(self) -> list[Path]:
        """They hold templates coarsely, which no search of bytes finds."""
        kinds = [sidecar.path(self.gallery, kind) for kind in sidecar.ScanKind]
        return [path for path in kinds if path.exists()]

    def drafts(self) -> list[Path]:
        return [path for path in self.here.iterdir() if path.name.startswith(".")]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A command that writes. before: what is there; words: the command.

    look: sees whether all is well after a cut; raises AssertionError.
    """

    name: str
    before: Callable[[Place], object]
    words: Callable[[Place], list[str | Path]]
    look: Callable[[Place], object]


@dataclass(slots=True)
class Outcome:
    """How many points were tried, by kind. steps: only the program was killed; cuts: the power.

    Points that leave the same on the disk are one. failures: a line each.
    """

    tried: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def look(self, kind: str, how: str, number: int, scenario: Scenario, found: Recording) -> None:
        """See what is left in the place, note it, and take the place away."""
        self.tried[kind] += 1
        try:
            scenario.look(found.at(number))
            self.survived[kind] += 1
        except Exception as error:
            said = (str(error).splitlines() or [""])[0]
            step = found.operations[number]
            self.failures.append(
                f"{scenario.name}, {how} step {number} ({step.name} {step.path}): "
                f"{type(error).__name__}: {said}"
            )
        shutil.rmtree(found.place.here)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a scenario's command did. before: the folder as it was; reported: the operation that
    said on stdout what was done.
    """

    place: Place
    before: Path
    operations: list[Operation]
    reported: int

    def at(self, number: int) -> Place:
        """The place as it is after an operation."""
        return replace(self.place, told=number >= self.reported)


def recorded(scenario: Scenario, folder: Path, facecli: InProcess) -> Recording:
    """Run its command once; the folder that it ran in is taken away."""
    place = Place(folder / "here", folder / "more", facecli)
    for made in (place.here, place.more):
        made.mkdir(parents=True)
    scenario.before(place)
    shutil.copytree(place.here, folder / "before")
    words = scenario.words(place)
    command = words if words[0] == sys.executable else [sys.executable, "-m", "facecli", *words]
    operations = record(command, place.here, environment(facecli.home))
    shutil.rmtree(place.here)
    reported = max(i for i, o in enumerate(operations) if o.told.strip())
    return Recording(place, folder / "before", operations, reported)


def attack(
    scenario: Scenario, folder: Path, facecli: InProcess, most: int | None = None
) -> Outcome:
    """Cut the command off everywhere, or at `most` points evenly among them."""
    found = recorded(scenario, folder, facecli)
    points = list(_points(found))
    if most is not None:
        points = points[:: -(-len(points) // most)]
    outcome, disk, done = Outcome(), Disk(found.before), 0
    for number, cut in points:
        for operation in found.operations[done : number + 1]:
            disk.do(operation)
        done = number + 1
        found.place.here.mkdir()
        disk.write_to(found.place.here, cut)
        kind = "steps" if cut is Cut.KILLED else "cuts"
        outcome.look(kind, f"{cut.value} after", number, scenario, found)
    return outcome


def _points(found: Recording) -> Iterator[tuple[int, Cut]]:
    """After which operation, and how, so that each leaves something else on the disk."""
    disk, seen = Disk(found.before), set[tuple[str, bool, bool]]()
    for number, operation in enumerate(found.operations):
        disk.do(operation)
        for cut in Cut:
            left = (disk.digest(cut), number >= found.reported, cut is Cut.KILLED)
            if left not in seen:
                seen.add(left)
                yield number, cut


# what is there before ------------------------------------------------------------------------


def gallery(place: Place) -> None:
    """People, a removal that can be undone, and both sidecars, as a large gallery has them."""
    with closing(new_store(place.gallery)) as store:
        store.add([reference(name, i) for i, name in enumerate([*PEOPLE, "Removed"])])
        store.remove("Removed")
        usual, candidates.SIDECAR_FROM = candidates.SIDECAR_FROM, 1
        try:
            for kind in sidecar.ScanKind:
                candidates.sidecar_scan(store.reader, kind, 0.5)
        finally:  # of this process, in which other tests run
            candidates.SIDECAR_FROM = usual


def encrypted(place: Place) -> None:
    gallery(place)
    for which in ("key", "other"):
        keys.make(str(place.more / which))
    encryption.convert(place.gallery, None, place.key("key"))


def to_be_encrypted(place: Place) -> None:
    gallery(place)
    keys.make(str(place.more / "key"))


def _two_backups(place: Place) -> None:
    gallery(place)
    with closing(GalleryFile.open(place.gallery)) as store:
        backup(store, place.here / "b")
        export.export(store.reader, place.here / "e")
        store.rename(PEOPLE[0], "Renamed")


def _to_import(place: Place) -> None:
    new_store(place.gallery).close()
    with closing(new_store(place.more / "other")) as store:
        store.add([reference(name, i) for i, name in enumerate(PEOPLE)])
        export.export(store.reader, place.more / "e")


def stale(place: Place) -> None:
    """A template that is not the mean of its references."""
    gallery(place)
    with closing(GalleryFile.open(place.gallery)) as store:
        store._db.execute("UPDATE subject SET template = zeroblob(768) WHERE id = 2")


def _torn(place: Place) -> None:
    """A gallery one page of which is damaged."""
    with closing(new_store(place.gallery)) as store:
        store.add([reference(f"Somebody {i}", i) for i in range(80)])
    content = bytearray(place.gallery.read_bytes())
    content[-16384:] = os.urandom(16384)
    place.gallery.write_bytes(content)


def _photos(place: Place) -> None:
    folder = place.more / "photos" / "Grace"
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"{number}.jpg").write_bytes(variant(hopper(), number, 160))


def _enrolled(place: Place) -> None:
    """Photos, a gallery of them, and another model."""
    _photos(place)
    done = place.facecli("enroll", place.more / "photos", "-g", place.gallery)
    assert done.code == 0, done.err
    network_file = place.more / "grid.onnx"
    network_file.write_bytes(network())
    place.facecli("models", "add", network_file, *MODEL)


# how it looks afterwards ---------------------------------------------------------------------


def _key(place: Place) -> None:
    file = place.here / "key"
    there = file.exists()
    assert there or not place.told
    assert place.facecli("gallery", "key", file).code == (2 if there else 0)
    keys.read_key(str(file))
    assert place.facecli("gallery", "key", place.here / "second").code == 0
    assert place.drafts() == [], "who writes there next takes away what a killed one left"


def _one_of(place: Place, *stories: list[str]) -> None:
    """Sound as it is, and the newest story is told once the command has reported it."""
    found = place.people()
    assert found in (stories[-1:] if place.told else stories), found
    assert place.check().code == 0 and place.drafts() == []


def _then_all(place: Place, words: list[str | Path], *codes: int) -> None:
    again = place.facecli(*words)
    assert again.code in (0, *codes), again.err
    assert place.drafts() == []


def _imported(place: Place) -> None:
    _one_of(place, [], PEOPLE)
    _then_all(place, _words_import(place))
    assert place.people() == PEOPLE and place.check().code == 0


def _words_import(place: Place) -> list[str | Path]:
    return ["gallery", "import", place.more / "e", "-g", place.gallery]


TRACES = [unit_vector(3).tobytes()[:32], GONE.encode()]


def _purged(place: Place) -> None:
    left = [name for name in PEOPLE if name != GONE]
    with closing(GalleryFile.open(place.gallery)) as store:
        unfinished = [f for f in store.reader.check() if "erasure was not finished" in f]
        assert store.reader.check() == unfinished
        there = sorted(subject.name for subject in store.reader.subjects())
        assert there in ((left,) if place.told else (left, PEOPLE)), there
    if there == left and not unfinished:
        assert place.holds(*TRACES) == [], "called done, or as if nothing had been to do"
        assert place.sidecars() == []
    if place.told:
        assert not unfinished
        receipt = json.loads((place.here / "receipt").read_text())
        assert receipt["complete"] and receipt["references"] == 1
    checked = place.check()
    assert (checked.code == 0) == (not unfinished), checked
    words = words_purge(place)[:5]
    _then_all(place, words, *(() if unfinished or there == PEOPLE else (4,)))
    assert place.people() == left and place.holds(*TRACES) == place.sidecars() == []
    assert place.check().code == 0


def words_purge(place: Place) -> list[str | Path]:
    return [
        "gallery", "purge", GONE, "-y", f"-g{place.gallery}", "--receipt", place.here / "receipt",
    ]  # fmt: skip


def _conversion(old: str, new: str) -> tuple[Callable[[Place], list[str | Path]],
                                             Callable[[Place], None]]:  # fmt: skip
    """The words of `encrypt` or `decrypt`, and how it looks."""

    def words(place: Place) -> list[str | Path]:
        if not new:
            return ["gallery", "decrypt", "-g", place.gallery, "--key-file", place.more / old]
        given = ["--old-key-file", place.more / old] if old else []
        return ["gallery", "encrypt", "-g", place.gallery, "--key-file", place.more / new, *given]

    def look(place: Place) -> None:
        secrets = [unit_vector(i).tobytes()[:32] for i in range(9)] + [b"Somebody"]
        if place.told:
            assert place.people(new) == PEOPLE
            assert not new or place.holds(*secrets) == []
        here = _opens_with(place, old, new)
        assert place.people(here) == PEOPLE
        flag = ["--key-file", place.more / here] if here else []
        assert place.check(*flag).code == 0 and place.drafts() == []
        if not here:
            assert place.gallery.read_bytes()[18:20] == b"\2\2", "without its log again"
        if here == new and new:
            assert place.holds(*secrets) == [], "in the clear beside an encrypted gallery"
            assert place.sidecars() == []
        _then_all(place, words(place), 4)
        assert place.people(new) == PEOPLE
        assert not new or place.holds(*secrets) == []

    return words, look


def _opens_with(place: Place, *keys_there: str) -> str:
    plain = place.gallery.read_bytes()[:6] == b"SQLite"
    if plain:
        assert "" in keys_there
        return ""
    for which in filter(None, keys_there):
        flag = ("--key-file", place.more / which)
        if place.facecli("gallery", "list", "-g", place.gallery, *flag).code == 0:
            return which
    raise AssertionError("it opens with none of its keys")


AFTER = ["Renamed", *PEOPLE[1:]]


def _backed_up(place: Place) -> None:
    found = place.people(path=place.here / "b")
    assert found in ([AFTER] if place.told else [PEOPLE, sorted(AFTER)]) or found == sorted(AFTER)
    _one_of(place, sorted(AFTER))
    _then_all(place, _words_backup(place))
    assert place.people(path=place.here / "b") == sorted(AFTER)


def _words_backup(place: Place) -> list[str | Path]:
    return ["gallery", "backup", place.here / "b", "-g", place.gallery, "--force"]


def _exported(place: Place) -> None:
    lines = [json.loads(line) for line in (place.here / "e").read_text().splitlines()]
    found = sorted(line["subject"] for line in lines[1:])
    assert found in ([sorted(AFTER)] if place.told else [PEOPLE, sorted(AFTER)]), found
    _one_of(place, sorted(AFTER))
    _then_all(place, ["gallery", "export", place.here / "e", "-g", place.gallery, "--force"])


def _copied(place: Place) -> None:
    copy = place.here / "c"
    assert place.people() == PEOPLE
    done = place.facecli("gallery", "check", "-g", copy)
    if done.code == 0:  # whole, or nothing yet
        assert place.people(path=copy) in ([PEOPLE] if place.told else [[], PEOPLE])
    else:
        assert not place.told
        assert "no gallery at" in done.err or "a copy that was not finished" in done.err, done.err
    _then_all(place, ["gallery", "copy", place.gallery, copy])
    assert place.people(path=copy) == PEOPLE
    assert place.facecli("gallery", "check", "-g", copy).code == 0


def _re_embedded(place: Place) -> None:
    checked = place.check()
    assert checked.code == 0, checked.err
    moved, working = _model(place.gallery) == "grid", place.here.glob("g.re-embed-*")
    assert moved or not place.told
    if list(working):
        assert "--model grid` goes on" in checked.out or _is_no_more_than_begun(place), checked.out
    _then_all(place, _words_re_embed(place), *((2,) if moved else ()))
    assert _model(place.gallery) == "grid" and place.check().out.count("\n") == 1
    assert list(place.here.glob("g.re-embed-*")) == []


def _is_no_more_than_begun(place: Place) -> bool:
    """Whether no face is in the work yet: what it is, is said before that."""
    return not any(b"/photos/" in file.read_bytes() for file in place.here.glob("g.re-embed-*"))


def _words_re_embed(place: Place) -> list[str | Path]:
    return ["gallery", "re-embed", "--model", "grid", "-g", place.gallery, "--workers", "1"]


def _re_embedded_elsewhere(place: Place) -> None:
    to = place.here / "to"
    assert place.check().code == 0 and _model(place.gallery) != "grid"
    assert to.exists() or not place.told
    if not to.exists():
        _then_all(place, [*_words_re_embed(place), "--to", to])
    assert _model(to) == "grid" and place.check().out.count("\n") == 1
    assert list(place.here.glob("g.re-embed-*")) == [] and place.drafts() == []


def _model(path: Path) -> str:
    with closing(GalleryFile.open(path)) as store:
        assert store.reader.check() == [] and store.reader.counts() == (1, 2)
        return store.reader.embedder_id.split(":")[0]


def _repaired(place: Place) -> None:
    if place.told:
        assert place.people() == PEOPLE
    _then_all(place, ["gallery", "check", "--repair", "-g", place.gallery])
    assert place.people() == PEOPLE and place.check().code == 0


def _recovered(place: Place) -> None:
    found = list(place.here.glob("g.recovered-*"))
    assert found or not place.told
    counts = {len(place.people(path=path)) for path in found}
    place.facecli("gallery", "check", "--repair", "-g", place.gallery)
    found = list(place.here.glob("g.recovered-*"))
    counts |= {len(place.people(path=path)) for path in found}
    assert len(counts) == 1 and counts.pop() > 40, "whole or not at all"
    assert place.drafts() == []


def _migrated(place: Place) -> None:
    with closing(GalleryFile.open(place.gallery)) as store:
        assert (store.reader.check(), store.reader.counts()) == ([], (1, 1))
    assert place.check().code == 0 and place.drafts() == []


def _settled(place: Place) -> None:
    _one_of(place, PEOPLE)
    with closing(GalleryFile.open(place.gallery)) as store:
        for kind in sidecar.ScanKind:
            header = sidecar.peek(place.gallery, kind)
            assert header or not sidecar.path(place.gallery, kind).exists()
            if header:
                read = sidecar.read_sidecar(place.gallery, kind, header.seal)
                assert read is not None and store.reader.has_seal(header.seal)


def _enrolment(place: Place) -> None:
    if place.gallery.exists():
        assert place.check().code == 0
    if place.told:
        assert _count(place) == 2
    _then_all(place, ["enroll", place.more / "photos", "-g", place.gallery, "--workers", "1"])
    assert _count(place) == 2 and place.check().code == 0


def _count(place: Place) -> int:
    with closing(GalleryFile.open(place.gallery)) as store:
        return store.reader.counts()[1]


def _logged(place: Place) -> None:
    _one_of(place, PEOPLE)
    with closing(GalleryFile.open(place.gallery)) as store:
        store.remove(PEOPLE[0])
        assert store.audit_log.entries() or not place.told


def _in(*words: str) -> Callable[[Place], list[str | Path]]:
    return lambda place: [*words, "-g", place.gallery]


def _old(place: Place) -> None:
    old_gallery(place.gallery)


def behind(place: Place) -> None:
    gallery(place)
    sidecar.discard_sidecars(place.gallery)


ENCRYPT, DECRYPT, REKEY = (
    _conversion("", "key"),
    _conversion("key", ""),
    _conversion("key", "other"),
)
SCENARIOS = (
    Scenario("key", lambda place: None, lambda p: ["gallery", "key", p.here / "key"], _key),
    Scenario("encrypt", to_be_encrypted, *ENCRYPT),
    Scenario("rekey", encrypted, *REKEY),
    Scenario("decrypt", encrypted, *DECRYPT),
    Scenario("purge", gallery, words_purge, _purged),
    Scenario("backup", _two_backups, _words_backup, _backed_up),
    Scenario(
        "export", _two_backups,
        lambda p: ["gallery", "export", p.here / "e", "-g", p.gallery, "--force"], _exported,
    ),
    Scenario("import", _to_import, _words_import, _imported),
    Scenario(
        "copy", gallery, lambda p: [sys.executable, "-c", COPY, p.gallery, p.here / "c"], _copied
    ),
    Scenario(
        "remove", gallery, _in("gallery", "remove", GONE),
        lambda p: _one_of(p, PEOPLE, [name for name in PEOPLE if name != GONE]),
    ),
    Scenario(
        "rename", gallery, _in("gallery", "rename", PEOPLE[0], "Renamed"),
        lambda p: _one_of(p, PEOPLE, sorted(AFTER)),
    ),
    Scenario(
        "undo", gallery, _in("gallery", "undo"),
        lambda p: _one_of(p, PEOPLE, sorted([*PEOPLE, "Removed"])),
    ),
    Scenario("log", gallery, _in("gallery", "log", "--on"), _logged),
    Scenario("repair", stale, _in("gallery", "check", "--repair"), _repaired),
    Scenario("recover", _torn, _in("gallery", "check", "--repair"), _recovered),
    Scenario("migrate", _old, _in("gallery", "list"), _migrated),
    Scenario("sidecar", behind, lambda p: [sys.executable, "-c", SETTLE, p.gallery], _settled),
    Scenario(
        "enroll", _photos,
        lambda p: ["enroll", p.more / "photos", "-g", p.gallery, "--workers", "1"], _enrolment,
    ),
    Scenario("re-embed", _enrolled, _words_re_embed, _re_embedded),
    Scenario(
        "re-embed --to", _enrolled, lambda p: [*_words_re_embed(p), "--to", p.here / "to"],
        _re_embedded_elsewhere,
    ),
)  # fmt: skip
