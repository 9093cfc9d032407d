"""A plan carried out: photos to templates, once, and everything measured on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError, UsageError
from facecli.common.names import name_key
from facecli.common.types import FailureToAcquire, OperatingPoint
from facecli.datasets.labels import LabelledPhoto
from facecli.evaluation import comparisons, mistakes, searches
from facecli.evaluation.acquire import Acquired, Read, acquire
from facecli.evaluation.comparisons import ComparisonResults
from facecli.evaluation.mistakes import Mistake
from facecli.evaluation.plan import Plan
from facecli.evaluation.searches import Enrolled, SearchResults
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor
from facecli.threshold import from_pairs, operating_point
from facecli.threshold.operating_point import Measured, ThresholdInputs


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a plan came to.

    failures: photos without a template, once each; they stay in every denominator.
    not_enrolled: subjects all of whose references failed or were refused for their quality.
    identification: at rising N, the whole gallery last; empty for pairs. comparison_point: the
    default of `verify`, by the embedder's table; None without one. labels: what is wrong with
    all labels of pairs, empty where nothing shows it. remarks: what to bear in mind, a line each.
    """

    plan: Plan
    embedder_id: str
    target_fpir: float
    photos: int
    failures: tuple[FailureToAcquire, ...]
    not_enrolled: int
    verification: ComparisonResults
    identification: tuple[SearchResults, ...]
    comparison_point: OperatingPoint | None
    mistakes: tuple[Mistake, ...]
    labels: str
    remarks: tuple[str, ...]


def evaluate(
    extractor: Extractor,
    plan: Plan,
    target_fpir: float = operating_point.DEFAULT_FPIR,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[], object] | None = None,
    read: Read = Extractor.photos,
) -> Evaluation:
    """Measure a plan with an embedder. progress: called once a photo. read: see `acquire`.

    Raises UsageError for a rate outside (0, 1), CalibrationError when no photo gave a template.
    """
    if not 0 < target_fpir < 1:
        raise UsageError(f"the target is a rate between 0 and 1, not {target_fpir}: 0.01 is 1 %")
    spec = extractor.spec
    table = operating_point.built_in_table(spec)
    acquired = acquire(extractor, plan.photos, workers, progress, read)
    if not acquired.usable.any():
        first = acquired.failures[0]
        raise CalibrationError(
            f"{plan.path}: none of {len(acquired.paths):,} photos shows a face that could be "
            f"used; the first: {first.path}: {first.reason}"
        )
    plan, remarks = _without_copies(plan, acquired)
    found = _compared(plan, acquired, seed)
    rates = _searched(plan, acquired, spec, target_fpir, seed)
    names = _names(plan)
    worst = list(mistakes.of_comparisons(acquired, found, names))
    if rates:
        worst += mistakes.of_searches(acquired, rates[-1], names)
    remarks += _refused(plan, acquired) + _children(plan, acquired)
    subjects = {name_key(photo.subject) for photo in plan.gallery}
    kinds = (found.of(True), found.of(False))
    return Evaluation(
        plan, spec.embedder_id, target_fpir, len(acquired.paths), acquired.failures,
        len(subjects) - rates[-1].n if rates else 0,
        comparisons.comparison_results(found, table), rates,
        _comparison_point(spec.embedder_id, table), tuple(worst),
        from_pairs.wrong_way_round(*kinds) if plan.pairs else "", remarks,
    )  # fmt: skip


def _names(plan: Plan) -> dict[str, str]:
    """Whom each photo shows, as given."""
    names = {str(p.path): p.subject for p in (*plan.gallery, *plan.mated, *plan.strangers)}
    for pair in plan.pairs:
        if pair.subjects is not None:
            names |= {str(pair.first): pair.subjects[0], str(pair.second): pair.subjects[1]}
    return names


def _compared(plan: Plan, acquired: Acquired, seed: int) -> comparisons.Comparisons:
    if plan.pairs:
        return comparisons.of_pairs(acquired, plan.pairs)
    everyone = (*plan.gallery, *plan.mated, *plan.strangers)
    return comparisons.of_photos(acquired, everyone, seed)


def _searched(
    plan: Plan,
    acquired: Acquired,
    spec: EmbedderSpec,
    target_fpir: float,
    seed: int,
) -> tuple[SearchResults, ...]:
    """The whole gallery, after smaller ones drawn from it; nobody's photos make nothing."""
    whole = searches.mean_templates(acquired, plan.gallery) if plan.gallery else None
    if whole is None or not whole.names:
        return ()
    n = len(whole.names)
    measured = Measured.of(spec)
    small = [searches.drawn(whole, k, seed) for k in searches.SMALLER_N if k < n]

    def at(gallery: Enrolled, mated: tuple[LabelledPhoto, ...], ranks: int) -> SearchResults:
        return searches.search_results(
            acquired,
            gallery,
            mated,
            plan.strangers,
            spec.embedder_id,
            measured,
            target_fpir,
            ranks,
        )  # fmt: skip

    parts = [at(gallery, _of(gallery, plan.mated), 0) for gallery in small]
    return (*parts, at(whole, plan.mated, searches.RANKS))


def _of(gallery: Enrolled, photos: tuple[LabelledPhoto, ...]) -> tuple[LabelledPhoto, ...]:
    there = set(gallery.names)
    return tuple(photo for photo in photos if name_key(photo.subject) in there)


def _without_copies(plan: Plan, acquired: Acquired) -> tuple[Plan, tuple[str, ...]]:
    """The plan without probes that are the very file of a reference: they would prove nothing."""
    digests = {acquired.sha256[acquired.rows[photo.path]] for photo in plan.gallery} - {""}

    def fresh(photos: tuple[LabelledPhoto, ...]) -> tuple[LabelledPhoto, ...]:
        return tuple(p for p in photos if acquired.sha256[acquired.rows[p.path]] not in digests)

    kept = replace(plan, mated=fresh(plan.mated), strangers=fresh(plan.strangers))
    copies = len(plan.mated) + len(plan.strangers) - len(kept.mated) - len(kept.strangers)
    if not copies:
        return plan, ()
    line = f"probes that are copies of a reference's file prove nothing: {copies:,} left out"
    return kept, (line,)


def _refused(plan: Plan, acquired: Acquired) -> tuple[str, ...]:
    """What was said of references whose quality enrolment refuses."""
    rows = [acquired.rows[photo.path] for photo in plan.gallery]
    refused = int((acquired.usable & ~acquired.enrollable)[rows].sum())
    if not refused:
        return ()
    return (f"references of too low a quality are not enrolled, as by `enroll`: {refused:,}",)


def _children(plan: Plan, acquired: Acquired) -> tuple[str, ...]:
    """What was said of probes that show small children."""
    rows = {acquired.rows[photo.path] for photo in (*plan.mated, *plan.strangers)}
    shown = int(acquired.children[list(rows)].sum())
    if not shown:
        return ()
    return (f"small children get no name, as by `identify`, and count as missed: {shown:,} photos",)


def _comparison_point(embedder_id: str, table: ReferenceTable | None) -> OperatingPoint | None:
    if table is None:
        return None
    inputs = ThresholdInputs(embedder_id, 1, table)
    return operating_point.at(
        inputs, Target.FMR, operating_point.DEFAULT_FMR, Basis.REFERENCE_TABLE
    )
