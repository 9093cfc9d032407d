"""The whole of a training: photos in, a model and a word on whether it is better out."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facecli.common import atomic
from facecli.common.enums import Device, Reason
from facecli.common.errors import InputError, OutputError
from facecli.common.files import private_folder
from facecli.common.names import name_key
from facecli.common.timestamp import now
from facecli.common.types import FailureToAcquire, Float32
from facecli.datasets.labels import LabelledPhoto, labelled
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor
from facecli.storage.interface import Storage
from facecli.storage.records import mean_template
from facecli.threshold import operating_point
from facecli.training import crops as crops_of
from facecli.training import export, loop, network
from facecli.training.crops import Crops
from facecli.training.degrade import Look
from facecli.training.devices import Job, carried_out, require_shares
from facecli.training.enrolled import overlap
from facecli.training.inputs import Inputs, make_inputs, templates
from facecli.training.loop import Epoch, Recipe
from facecli.training.measure import Comparison, PanelTemplates, Verdict, compare
from facecli.training.network import Divided
from facecli.training.people import Panel, Split, people, split

CROPS, CHECKPOINT, MODEL = "crops.npz", "checkpoint.pt", "model.onnx"
TABLE, CARD = "table.json", "card.md"
ALIKE = 0.01  # the chance that any two of all these people are as alike by chance
AS_THEY_ARE, SHIFTED = "the photos as they are", "probes and strangers degraded like --like"
SHOWN = 3  # names in a remark

Step = Callable[[], object]
Stage = Callable[[str, int], Step]
"""Called where a stage begins, with its name and how many photos it takes; gives what to call for
each photo."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the photos come from, each as `enroll` takes them.

    judges: people who choose and report, instead of some of `people`. strangers: people in none of
    them. camera: photos that look like those to come, of anybody.
    """

    people: tuple[Path, ...]
    judges: tuple[Path, ...] = ()
    strangers: tuple[Path, ...] = ()
    camera: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What a training came to.

    comparisons: of base and result on the people who report, the deciding one first: under the
    shift where there was one, then as the photos are. trained, weights: numbers in the network.
    people, photos: that were trained on. digest: of that set. spec: of the result, its files in
    `out`. table: a line on it. parity: see `export.Exported`. registered: whether it can be used by
    its name. remarks: what to bear in mind. seconds: what it took, this time.
    """

    name: str
    base: EmbedderSpec
    recipe: Recipe
    people: int
    photos: int
    digest: str
    trained: int
    weights: int
    looks: tuple[Look, ...]
    epochs: tuple[Epoch, ...]
    best: Epoch
    stopped: str
    comparisons: tuple[Comparison, ...]
    exported: export.Exported
    table: str
    has_table: bool
    registered: bool
    remarks: tuple[str, ...]
    out: Path
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Of the comparison that decides."""
        return self.comparisons[0].verdict


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """Crops of all sources with the split of their people. looks: what was degraded to.
    templates: (n, d) the base's, of the photos as they are.
    """

    crops: Crops
    inputs: Inputs
    split: Split
    looks: tuple[Look, ...]
    remarks: tuple[str, ...]
    templates: Float32
    own: Mapping[str, Sequence[int]] = field(default_factory=dict)


def train(
    sources: Sources,
    name: str,
    recipe: Recipe,
    out: Path,
    base: EmbedderSpec,
    *,
    device: Device = Device.AUTO,
    devices: int = 1,
    resume: bool = False,
    gallery: Storage | None = None,
    register: bool = False,
    anyway: bool = False,
    workers: int | None = None,
    stage: Stage | None = None,
    progress: Callable[[Epoch], object] | None = None,
) -> Training:
    """Train `base` on people's photos, and measure both on others. Files go to `out`, 0600.

    devices: how many processes, on CUDA a GPU each. resume: go on from the checkpoint there.
    gallery: whose people are looked for in the training set. register: install it under its name
    where it is better, or `anyway`.
    Raises InputError for photos that will not do, UsageError for what does not fit together,
    ModelError, DeviceError, OutputError.
    """
    from facecli.training.extra import chosen_device, require_converter

    started = time.monotonic()
    require_converter()
    where = chosen_device(device, devices)
    require_shares(recipe.batch, devices)  # before the photos are worked on
    if register:
        export.require_free(name)
    registry.verify_files(base)
    divided = network.divide(base.path.read_bytes(), recipe.part)
    _require_own(out, resume)
    try:
        private_folder(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be made: {error.strerror}") from error
    gathered = _gather(sources, base, divided, recipe.seed, out / CROPS, workers, stage or _silent)
    crops, parts, inputs = gathered.crops, gathered.split, gathered.inputs
    shifted = crops.degraded
    digest = _digest(crops, parts)
    key = _key(base, recipe, digest, gathered.looks, parts)
    job = Job(
        divided.module, inputs, parts, crops.found, recipe, key, out / CHECKPOINT, shifted, resume
    )
    trained = carried_out(job, where, devices, progress)
    source = (
        f"{base.name} ({base.source}), trained further by facecli train on {len(parts.train):,} "
        f"photos of {len(parts.names):,} people, set {digest[:16]}"
    )
    compared = crops.images[np.array(parts.train[: export.COMPARED])]
    made = export.export(divided, trained.module, compared, name, base, source)
    (stage or _silent)("measuring", 0)
    tails = (divided.tail, network.tail_of(made.content, recipe.part))
    comparisons, vectors, whose = _compared(gathered, tails, recipe.seed, workers)
    table = export.reference_table(vectors, whose, made.spec, f"people unseen by {name}")
    table_line = (
        f"a table of {table.subjects:,} people who were neither trained on nor chosen by"
        if table
        else f"no table: {len(set(whose)):,} people are left to make one of, and "
        f"{export.FEWEST_IN_TABLE} are needed; calibrate (`facecli threshold`)"
    )
    remarks = [*gathered.remarks]
    if gallery is not None:
        remarks += _enrolled(gallery, base, gathered)
    card = export.card(
        name, _facts(made.spec, recipe, parts, digest, table_line), base, _figures(comparisons)
    )
    _write(out / MODEL, made.content)
    _write(out / CARD, card.encode())
    if table is not None:
        _write(out / TABLE, f"{table.to_json()}\n".encode())
    installed = register and (comparisons[0].verdict is Verdict.BETTER or anyway)
    if installed:
        export.register(made, table, card)
    return Training(
        name, base, recipe, len(parts.names), len(parts.train), digest, divided.trained,
        divided.weights, gathered.looks, trained.epochs, trained.best, trained.stopped,
        comparisons, made, table_line, table is not None, installed, tuple(remarks), out,
        time.monotonic() - started,
    )  # fmt: skip


def _require_own(out: Path, resume: bool) -> None:
    """See that nothing of somebody else's is replaced: a run's files go where it began."""
    if resume:
        return loop.require_checkpoint(out / CHECKPOINT)
    for name in (CHECKPOINT, MODEL, CARD, TABLE, CROPS):
        path = out / name
        if os.path.lexists(path) and not (name == CROPS and crops_of.are_own(path)):
            raise InputError(f"{path} is there: go on with --resume {out}, or name another --out")
    return None


def _silent(_: str, __: int) -> Step:
    return lambda: None


def _gather(
    sources: Sources,
    base: EmbedderSpec,
    divided: Divided,
    seed: int,
    kept: Path,
    workers: int | None,
    stage: Stage,
) -> _Gathered:
    """Everybody's crops and what the front makes of them, and who is for what."""
    layouts = [
        labelled(list(paths)) if paths else None
        for paths in (sources.people, sources.judges, sources.strangers)
    ]
    photos, origin = list[LabelledPhoto](), list[int]()
    problems = [p for layout in layouts if layout for p in layout.problems]
    for number, layout in enumerate(layouts):
        found = layout.photos if layout else ()
        photos += found
        origin += [number] * len(found)
    extractor = Extractor.load(base, Device.CPU)
    camera = labelled(list(sources.camera), "anybody").photos if sources.camera else ()
    looks = crops_of.looks(extractor, [p.path for p in camera], [p.path for p in photos])
    if camera and not looks:
        raise InputError("no face was found in the photos of --like, so nothing can be matched")
    key = _hash([base.sha256, seed, [repr(look) for look in looks]])
    before = crops_of.read(kept, key)
    made = crops_of.acquire(
        extractor, photos, looks, seed, before, workers, stage("crops", len(photos))
    )
    fresh = set(made.sha256) - set(before)
    del before  # as large as what came of it
    if fresh:
        crops_of.write(made, kept, key)
    count = len(made.photos)
    inputs = make_inputs(divided.front, base, made, workers, stage("features", count))
    every = np.arange(count, dtype=np.intp)
    vectors = templates(
        inputs, divided.tail, every, workers=workers, step=stage("templates", count)
    )
    place = {photo.path: number for photo, number in zip(photos, origin, strict=True)}
    rows = [list[int](), list[int](), list[int]()]
    for row, photo in enumerate(made.photos):
        rows[place[photo.path]].append(row)
    lost, remarks = _doubtful(made, rows, vectors, base)
    groups = [people(made.photos, [r for r in some if r not in lost]) for some in rows]
    strangers = {k: v for k, v in groups[2].items() if k not in groups[0] and k not in groups[1]}
    if sources.judges and not groups[1]:  # or some of PEOPLE would judge, without a word
        raise InputError(
            "nobody of --validate-dir is left to judge: their photos show no face, or they are "
            "among PEOPLE under another name"
        )
    if both := sorted(set(groups[0]) & set(groups[1])):
        raise InputError(
            f"{_some(both)} in both PEOPLE and --validate-dir: who is trained on cannot judge"
        )
    if known := len(groups[2]) - len(strangers):
        remarks.append(f"people of --strangers who are among the others, left out: {known:,}")
    twice = [bool(some.any()) for some in made.found] if made.degraded else None
    parts = split(groups[0], made.good.tolist(), groups[1], strangers, seed, twice)
    remarks += [*_failed([*problems, *made.failures]), *parts.remarks]
    return _Gathered(made, inputs, parts, looks, tuple(remarks), vectors, groups[0])


def _doubtful(
    crops: Crops, rows: Sequence[Sequence[int]], templates: Float32, base: EmbedderSpec
) -> tuple[set[int], list[str]]:
    """Rows to leave out: one photo under two names, and people who look like one person.

    Both would teach that a person is not themselves.
    """
    lost: set[int] = set()
    remarks: list[str] = []
    names = [name_key(photo.subject) for photo in crops.photos]
    whose: dict[str, set[str]] = {}
    for sha256, name in zip(crops.sha256, names, strict=True):
        whose.setdefault(sha256, set()).add(name)
    copies = {sha256 for sha256, owners in whose.items() if len(owners) > 1}
    if copies:
        lost |= {row for row, sha256 in enumerate(crops.sha256) if sha256 in copies}
        pair = sorted(whose[min(copies)])
        remarks.append(f"photos under two names, left out: {len(copies):,} ({' and '.join(pair)})")
    seen: set[tuple[str, str]] = set()
    for row, one in enumerate(zip(names, crops.sha256, strict=True)):  # the same file twice
        if one in seen:
            lost.add(row)
        seen.add(one)
    table = operating_point.built_in_table(base)
    groups = people(crops.photos, (r for some in rows for r in some if r not in lost))
    if table is None or len(groups) < 2:
        return lost, remarks
    means = np.stack([mean_template(list(templates[own])) for own in groups.values()])
    threshold = table.threshold(ALIKE, len(groups) * (len(groups) - 1) // 2)
    alike = np.argwhere(np.triu(means @ means.T >= threshold, 1))
    called = list(groups)
    for first, second in alike[:SHOWN]:
        remarks.append(
            f"{called[first]} and {called[second]} look like one person under two names (score "
            f"{float(means[first] @ means[second]):.2f}): both are left out; give one name, or keep"
            " one of them"
        )
    if len(alike) > SHOWN:
        remarks.append(f"and {len(alike) - SHOWN:,} more pairs like these")
    for place in {int(i) for pair in alike for i in pair}:
        lost |= set(groups[called[place]])
    return lost, remarks


def _compared(
    gathered: _Gathered, tails: tuple[bytes, bytes], seed: int, workers: int | None
) -> tuple[tuple[Comparison, ...], Float32, list[int]]:
    """Base and result on the people who report; and the result's templates of these people.

    tails: the trained part of both, the result's as it is in its file.
    """
    crops, panel = gathered.crops, gathered.split.report
    rows = np.array([*panel.gallery, *panel.probes, *panel.strangers], np.intp)
    before = gathered.templates[rows]
    plain = templates(gathered.inputs, tails[1], rows, workers=workers)
    whose = [*range(len(panel.gallery)), *panel.owners]
    whose += range(len(panel.gallery), len(panel.gallery) + len(panel.strangers))
    found = [compare(AS_THEY_ARE, _panel(before, panel), _panel(plain, panel), seed)]
    vectors, owners = plain, whose
    if crops.degraded:
        there = crops.found[rows, 0]
        shifted = [
            np.where(there[:, None], templates(gathered.inputs, tail, rows, 1, workers), 0)
            for tail in tails
        ]
        n = len(panel.gallery)
        pairs = [
            _panel(np.concatenate([clean[:n], degraded[n:]]), panel)
            for clean, degraded in zip((before, plain), shifted, strict=True)
        ]
        found.insert(0, compare(SHIFTED, pairs[0], pairs[1], seed))
        vectors = np.concatenate([plain, shifted[1][there]])
        owners = [*whose, *(w for w, t in zip(whose, there, strict=True) if t)]
    return tuple(found), vectors, owners


def _panel(templates: Float32, panel: Panel) -> PanelTemplates:
    """templates: of the panel's gallery, probes and strangers, in this order."""
    n, p = len(panel.gallery), len(panel.probes)
    return PanelTemplates(
        templates[:n], templates[n : n + p], np.array(panel.owners, np.intp), templates[n + p :]
    )


def _enrolled(gallery: Storage, base: EmbedderSpec, gathered: _Gathered) -> list[str]:
    """A line where people of the training set are in the gallery."""
    taught = set(gathered.split.names)
    own = {name: rows for name, rows in gathered.own.items() if name in taught}
    photos = {name: [gathered.crops.sha256[row] for row in rows] for name, rows in own.items()}
    means = {name: mean_template(list(gathered.templates[rows])) for name, rows in own.items()}
    found = overlap(gallery, base, photos, means)
    if not found.people:
        return []
    return [
        f"{len(found.people):,} of the people trained on are enrolled in {gallery.path} ("
        f"{_some(found.people)}): what is measured with that gallery will flatter this model"
    ]


def _failed(failures: Sequence[FailureToAcquire]) -> list[str]:
    kinds: dict[Reason, list[FailureToAcquire]] = {}
    for failure in failures:
        kinds.setdefault(failure.reason, []).append(failure)
    return [
        f"photos left out, {reason}: {len(some):,}, the first {some[0].path}"
        for reason, some in kinds.items()
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _digest(crops: Crops, parts: Split) -> str:
    """Of the training set: photos' hashes and whose they are, names aside."""
    pairs = sorted(zip((crops.sha256[row] for row in parts.train), parts.classes, strict=True))
    return _hash(pairs)


def _key(
    base: EmbedderSpec, recipe: Recipe, digest: str, looks: Sequence[Look], parts: Split
) -> str:
    """What must be the same for a checkpoint to go on with."""
    panel = [parts.select.gallery, parts.select.probes, parts.select.strangers, parts.train]
    facts = [
        base.embedder_id,
        loop.recipe_row(recipe),
        digest,
        [repr(look) for look in looks],
        panel,
    ]
    return _hash(facts)


def _hash(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    try:
        atomic.write(path, content, replace=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _facts(
    spec: EmbedderSpec, recipe: Recipe, parts: Split, digest: str, table: str
) -> dict[str, str]:
    margin = recipe.margin
    return {
        "sha256": f"`{spec.sha256}`",
        "source": spec.source,
        "licence": spec.licence,
        "commercial use": "yes" if spec.commercial_use else "not known to be allowed, see the base",
        "trained": f"{recipe.part} of the network, loss {recipe.loss} (scale {margin.scale:g}, m1 "
        f"{margin.m1:g}, m2 {margin.m2:g}, m3 {margin.m3:g}), seed {recipe.seed}, {now()[:10]}",
        "training set": f"{len(parts.train):,} photos of {len(parts.names):,} people, `{digest}`",
        "reference table": table,
        "odd faces": "not told from photographed ones: the base's bounds are for its own templates",
        "small children": "not told from adults, likewise: do not rely on a child's name",
    }


def _figures(comparisons: Sequence[Comparison]) -> list[str]:
    return [
        f"{one.condition}: DIR at FPIR 1 % among {one.n:,} people {one.dir.before * 100:.1f} % -> "
        f"{one.dir.after * 100:.1f} % (difference {one.dir.low * 100:+.1f} to "
        f"{one.dir.high * 100:+.1f} points at 95 %): {one.verdict}"
        for one in comparisons
    ]
