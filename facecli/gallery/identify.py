"""From photos to decisions: what that takes is made ready all at once, then photos stream through.

A photo by itself is what a user waits for. It is read and decoded while the models load, and has
all processors; several photos are spread over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from facecli.common.parallel import ordered
from facecli.common.types import Decision, FailureToAcquire, Photo
from facecli.gallery.search import Search
from facecli.recognition.pipeline import Extractor, Source, ahead
from facecli.storage.interface import Storage


def identify(
    store: Storage,
    photos: Iterable[Source],
    load: Callable[[bool], Extractor],
    prepare: Callable[[], Search],
    top: int,
    workers: int | None,
) -> Iterator[Decision]:
    """See `Gallery.identify`.

    load: the extractor, for a lone photo or not; called on another thread. prepare: reads the
    gallery; called on this one, which SQLite wants.
    """
    search, results = _ready(photos, load, prepare, workers)
    answer = partial(_answer, search, top)
    several = search.at_once > 1
    answers = ordered(answer, results, search.at_once) if several else map(answer, results)
    for result, decisions in answers:
        if isinstance(result, Photo):
            named = {d.subject for d in decisions if d.subject is not None}
            store.log_search(result.sha256, named)
        yield from decisions


def _ready(
    photos: Iterable[Source],
    load: Callable[[bool], Extractor],
    prepare: Callable[[], Search],
    workers: int | None,
) -> tuple[Search, Iterator[Photo | FailureToAcquire]]:
    lone = photos[0] if isinstance(photos, Sequence) and len(photos) == 1 else None
    opening = lone if lone is None or isinstance(lone, Future) else ahead(lone)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load, lone is not None)
        search, extractor = prepare(), loading.result()
    if opening is None:
        return search, extractor.photos(photos, workers)
    return search, extractor.batch([opening])


def _answer(
    search: Search, top: int, result: Photo | FailureToAcquire
) -> tuple[Photo | FailureToAcquire, tuple[Decision, ...]]:
    return result, tuple(search.photo(result, top))
