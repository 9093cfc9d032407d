"""1:N with strangers: photos searched for in a gallery, at the default operating point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError
from facecli.common.names import name_key
from facecli.common.types import Crowd, Float32, Interval, OperatingPoint
from facecli.datasets.labels import LabelledPhoto
from facecli.evaluation.acquire import Acquired
from facecli.metrics.crowd import crowd
from facecli.metrics.gallery_fit import observe
from facecli.metrics.identification import (
    IdentificationRates,
    Searches,
    cmc,
    fnir_fpir_curve,
    identification_rates,
    threshold_for_fpir,
)
from facecli.metrics.intervals import trials_for_rule_of_three
from facecli.metrics.rates import Scores
from facecli.metrics.reference_table import ReferenceTable
from facecli.metrics.verification import Curve
from facecli.storage.records import mean_template
from facecli.threshold import operating_point
from facecli.threshold.operating_point import Measured, ThresholdInputs

SMALLER_N = (10, 50, 200, 1000, 5000)  # galleries drawn from a larger one
SHOWN_FPIR = (0.1, 0.03, 0.01, 0.003, 0.001)
RANKS = 10
BLOCK = 1024  # probes a matrix product

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """A gallery of n subjects. names: (n,) keys. templates: (n, d) float32, the mean templates.

    references: (r,) rows in `Acquired`. owners: (r,) the subject of each, a row of `templates`.
    """

    names: tuple[str, ...]
    templates: Float32
    references: Rows
    owners: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Each of m probes searched for among n subjects.

    probes: (m,) rows in `Acquired`. best: (m,) the first candidate's place in the gallery, -1
    without a template. scores: (m,) float32, its score less the crowd's share (see
    `metrics.crowd`), which is what the threshold is held against, or -inf, as of small children,
    who get no name. ranks: (m,) of the right subject, from 1; 0 without. people: (m,) who they are.
    """

    probes: Rows
    best: Rows
    scores: Float32
    ranks: Rows
    people: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class FnirAtFpir:
    """rates: at the threshold that gives `fpir` on these very searches; None: not estimable."""

    fpir: float
    rates: IdentificationRates | None


@dataclass(frozen=True, slots=True, eq=False)
class SearchResults:
    """What searching a gallery of n subjects comes to.

    point, rates: the default operating point and what it does; None where `remark` says why.
    fnir: at falling FPIR, in hindsight. cmc: by rank, from 1; empty but for the whole gallery.
    """

    n: int
    gallery: Enrolled
    mated: Found
    strangers: Found
    searches: Searches
    threshold_inputs: ThresholdInputs
    point: OperatingPoint | None
    rates: IdentificationRates | None
    fnir: tuple[FnirAtFpir, ...]
    cmc: tuple[Interval, ...]
    curve: Curve | None
    remark: str = ""


def mean_templates(acquired: Acquired, photos: Sequence[LabelledPhoto]) -> Enrolled:
    """Mean templates of the photos that enrolment would take."""
    names = [name_key(photo.subject) for photo in photos]
    rows = np.array([acquired.rows[photo.path] for photo in photos], np.intp)
    taken = acquired.enrollable[rows]
    owned = [name for name, good in zip(names, taken, strict=True) if good]
    kept = sorted(set(owned))
    place = {name: i for i, name in enumerate(kept)}
    references, owners = rows[taken], np.array([place[name] for name in owned], np.int64)
    templates = np.zeros((len(kept), acquired.vectors.shape[1]), np.float32)
    for i in range(len(kept)):
        templates[i] = mean_template(list(acquired.vectors[references[owners == i]]))
    return Enrolled(tuple(kept), templates, references, owners)


def drawn(gallery: Enrolled, n: int, seed: int) -> Enrolled:
    """n of its subjects."""
    chosen = np.sort(np.random.default_rng([seed, n]).choice(len(gallery.names), n, replace=False))
    place = np.full(len(gallery.names), -1, np.int64)
    place[chosen] = np.arange(n)
    kept = place[gallery.owners] >= 0
    return Enrolled(
        tuple(gallery.names[i] for i in chosen),
        gallery.templates[chosen],
        gallery.references[kept],
        place[gallery.owners[kept]],
    )


def search_results(
    acquired: Acquired,
    gallery: Enrolled,
    mated: Sequence[LabelledPhoto],
    strangers: Sequence[LabelledPhoto],
    embedder_id: str,
    measured: Measured,
    target_fpir: float,
    ranks: int = 0,
) -> SearchResults:
    """Search for everybody. measured: of the embedder. ranks: how far the CMC goes, 0 for none."""
    n = len(gallery.names)
    vectors = acquired.vectors[gallery.references]
    observed = observe(vectors, gallery.owners, gallery.templates, (), measured.kinds)
    table = measured.table
    inputs = ThresholdInputs(embedder_id, n, table, observed, shape=measured.shape)
    point, remark = _point(inputs, target_fpir)
    taken_off = point.crowd if point else None
    found, other = (
        _found(acquired, gallery, photos, taken_off, table) for photos in (mated, strangers)
    )
    searches = Searches(
        Scores(found.scores, 0, found.people), found.ranks,
        Scores(other.scores, 0, other.people), n,
    )  # fmt: skip
    both = bool(len(found.probes) and len(other.probes))
    return SearchResults(
        n, gallery, found, other, searches, inputs, point,
        identification_rates(searches, point.threshold) if point else None,
        tuple(_fnir_at(searches, fpir) for fpir in SHOWN_FPIR),
        cmc(searches, ranks) if ranks else (),
        fnir_fpir_curve(searches) if both else None,
        remark,
    )  # fmt: skip


def _found(
    acquired: Acquired,
    gallery: Enrolled,
    photos: Sequence[LabelledPhoto],
    taken_off: Crowd | None,
    table: ReferenceTable | None,
) -> Found:
    probes = np.array([acquired.rows[photo.path] for photo in photos], np.intp)
    place = {name: i for i, name in enumerate(gallery.names)}
    right = np.array([place.get(name_key(photo.subject), -1) for photo in photos], np.intp)
    best, ranks = np.full(len(probes), -1, np.intp), np.zeros(len(probes), np.intp)
    scores = np.full(len(probes), -np.inf, np.float32)
    usable = np.flatnonzero(acquired.usable[probes])
    for start in range(0, len(usable), BLOCK):
        rows = usable[start : start + BLOCK]
        grid = acquired.vectors[probes[rows]] @ gallery.templates.T
        best[rows], scores[rows] = grid.argmax(axis=1), grid.max(axis=1)
        if taken_off is not None:
            kinds = table.kinds(acquired.vectors[probes[rows]]) if table else 1.0
            scores[rows] -= taken_off.share(crowd(grid), kinds).astype(np.float32)
        scores[rows[acquired.children[probes[rows]]]] = -np.inf
        ranks[rows] = _ranks(grid, right[rows])
    people = np.array([name_key(photo.subject) or str(photo.path) for photo in photos], np.str_)
    return Found(probes, best, scores, ranks, people)


def _ranks(grid: Float32, right: Rows) -> Rows:
    """The rank of column right[i] in row i, of equals the first first; 0 where right[i] is -1."""
    own = np.take_along_axis(grid, np.maximum(right, 0)[:, None], axis=1)
    before = np.arange(grid.shape[1]) < right[:, None]
    ranks = 1 + np.count_nonzero((grid > own) | ((grid == own) & before), axis=1)
    return np.where(right < 0, 0, ranks)


def _point(inputs: ThresholdInputs, fpir: float) -> tuple[OperatingPoint | None, str]:
    try:
        return operating_point.at(inputs, Target.FPIR, fpir, Basis.REFERENCE_TABLE), ""
    except CalibrationError as error:
        return None, str(error)


def _fnir_at(searches: Searches, fpir: float) -> FnirAtFpir:
    """Not estimable without mated searches, or with fewer than 3 / fpir strangers (rule of 3)."""
    people = searches.nonmated.subjects
    count = 0 if people is None else len(np.unique(people))
    if not searches.mated.trials or count < trials_for_rule_of_three(fpir):
        return FnirAtFpir(fpir, None)
    threshold = threshold_for_fpir(searches.nonmated, fpir)
    return FnirAtFpir(fpir, identification_rates(searches, threshold))
