"""Photos spread over Dask workers, here or on other machines: `Extractor.on_threads`, further away.

Nothing else knows Dask. Paths go out and templates come back; the gallery is written here alone.
Dask's nodes trust each other: whoever can connect to one can run code there. The cluster started
here therefore listens on the loopback interface only, encrypted and with keys that nobody else
has. To one that is named, the user's own Dask configuration applies (`distributed.comm.tls`).
"""

from __future__ import annotations

import asyncio
import logging
import pkgutil
import signal
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from concurrent.futures import Future as Answer
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from facecli.common.enums import DetectorName, Device
from facecli.common.errors import ModelError, SchedulerError, UsageError
from facecli.common.parallel import processors
from facecli.common.version import __version__
from facecli.common.waiting import said, say
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor, Run

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

KEPT = "what was enrolled is kept, run the same command to go on"
CUT = f"the connection to the scheduler was lost: {KEPT}"
LOCAL = "local"  # instead of an address: start workers on this machine
TOGETHER = 4  # batches of photos: Dask takes some 10 ms to send something, a photo as much
AHEAD = 3  # times that many in flight for each thread of a worker
RECOUNT = 16  # times that many after which the workers are counted again
ANSWER_WITHIN = 10.0  # s: for a scheduler to be found
WORKERS_WITHIN = 30.0  # s: for a first worker, or for a new one where all have gone
# A node that is stopped, or behind a network that is gone, keeps its connections and says nothing.
LOOK_EACH = 2.5  # s without a result, after which is asked who is alive
SILENT_FOR = 60.0  # s without an answer or a heartbeat, which comes each few seconds: it is lost
# How Dask's own defaults are changed for the processes that `local` starts.
HERE: Mapping[str, object] = {
    # without a dashboard it still serves some pages about the work
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # glibc is to keep a photo's memory for the next one: handed back each time, as Dask would
    # have it, it costs 1,200 page faults and 15 % of the processor time a photo
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 1 << 25,
}

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a worker must have so that its templates are the ones made here."""

    model: str
    embedder_id: str
    device: Device
    detector: DetectorName
    facecli: str = __version__


@contextmanager
def over(scheduler: str, recipe: Recipe, workers: int | None = None) -> Iterator[Run]:
    """A `Run` on a cluster: `local`, or the address of a scheduler, such as tcp://host:8786.

    workers: how many processes to start for `local`, by default one a processor; others have
    their own. A worker that dies costs a batch's second try. Raises UsageError without the
    `dask` extra, SchedulerError where nobody answers, no worker is left or they have another
    facecli, ModelError where a worker's embedder is another.
    """
    try:
        from distributed import Client

        if scheduler == LOCAL:
            import cryptography  # noqa: F401 (makes the keys)
    except ImportError as missing:
        raise UsageError(
            "--scheduler needs an optional extra: pip install 'facecli[dask]'"
        ) from missing
    if workers and scheduler != LOCAL:
        raise UsageError("--workers counts what --scheduler local starts: a cluster has its own")
    with ExitStack() as stack:
        target = stack.enter_context(_local(workers)) if scheduler == LOCAL else _found(scheduler)
        client = stack.enter_context(Client(target, timeout=ANSWER_WITHIN, set_as_default=False))
        _require_workers(client)
        _require_same_facecli(client)
        yield _Spread(client, recipe).run


class _Spread:
    def __init__(self, client: Client, recipe: Recipe) -> None:
        self._client = client
        self._recipe = recipe

    def run(
        self, work: Callable[[Extractor, Sequence[T]], Iterable[R]], batches: Iterable[Sequence[T]]
    ) -> Iterator[R]:
        """Send batches out, a bounded number ahead, and yield their results in order."""
        waiting: deque[Future[Any]] = deque()
        ahead = 0
        for number, several in enumerate(_several(batches)):
            if number % RECOUNT == 0:  # workers come and go
                threads = _within(self._client.nthreads, "the Dask scheduler")
                ahead = AHEAD * max(1, sum(threads.values()))
            # pure: else Dask would give the same photos' old results, whatever became of the files.
            waiting.append(self._client.submit(_batch, work, self._recipe, several, pure=False))
            while len(waiting) >= ahead:
                yield from self._result(waiting.popleft())
        while waiting:
            yield from self._result(waiting.popleft())

    def _result(self, future: Future[Any]) -> list[Any]:
        from distributed.scheduler import KilledWorker

        alive = _Heartbeats(self._client)
        while True:
            try:
                results: list[Any] = future.result(timeout=LOOK_EACH)
                return results
            except TimeoutError:  # nothing yet
                _require_workers(self._client)
                alive.require(future)
            except KilledWorker as error:
                raise SchedulerError(
                    f"{error.allowed_failures + 1} workers died one after the other over the same "
                    f"few photos: {KEPT}; if it happens again, the workers' logs say why "
                    "(too little memory, most often)"
                ) from error
            except (ImportError, RuntimeError) as error:
                if not isinstance(error.__cause__ or error, ImportError):
                    raise
                raise SchedulerError(
                    f"the scheduler or a worker cannot load facecli ({error.__cause__ or error}): "
                    f"install facecli {__version__} on each of them"
                ) from error
            except (CancelledError, OSError) as error:
                raise SchedulerError(CUT) from error


class _Heartbeats:
    """Of the workers, while a result is waited for."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._last: dict[str, tuple[float, float]] = {}  # theirs, and when it was new to us
        self._told = False

    def require(self, future: Future[Any]) -> None:
        """Raises SchedulerError where the worker that has this work is SILENT_FOR so long."""
        known = _within(lambda: self._client.scheduler_info(n_workers=-1), "the Dask scheduler")
        busy = _within(self._client.processing, "the Dask scheduler")
        done = _within(lambda: self._client.who_has([future]), "the Dask scheduler")
        now = time.monotonic()
        for worker, facts in known["workers"].items():
            if self._last.get(worker, (None, now))[0] != facts["last_seen"]:
                self._last[worker] = (facts["last_seen"], now)
        at_work = {worker for worker, keys in busy.items() if future.key in keys}
        for worker in at_work.union(*done.values()):
            silent = now - self._last.get(worker, (0, now))[1]
            if silent > SILENT_FOR:
                raise SchedulerError(_lost(f"the Dask worker {worker}"))
            if silent >= LOOK_EACH and not self._told:
                self._told = True
                say(f"waiting for the Dask worker {worker}, {SILENT_FOR:.0f} s at most")


def _within(ask: Callable[[], R], whom: str) -> R:
    """The answer. Raises SchedulerError where there is none in SILENT_FOR, or the connection is
    lost, and what else `ask` raises.

    On a thread of its own: Dask waits for ever for one who keeps the connection and says nothing.
    """
    answer: Answer[R] = Answer()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=work, daemon=True).start()
    with said(f"waiting for an answer of {whom}", SILENT_FOR):
        if not wait([answer], SILENT_FOR).done:
            raise SchedulerError(_lost(whom))
    try:
        return answer.result()
    except TimeoutError:  # an OSError, too
        raise
    except (CancelledError, OSError) as error:
        raise SchedulerError(CUT) from error


def _lost(whom: str) -> str:
    return (
        f"{whom} has been silent for {SILENT_FOR:.0f} s: it is stopped, or the network is gone. "
        f"Start it again, or end it; {KEPT}"
    )


@contextmanager
def _local(workers: int | None) -> Iterator[LocalCluster]:
    """Worker processes on this machine that nobody but this process can reach."""
    import dask
    from distributed import LocalCluster, Security

    with (
        tempfile.TemporaryDirectory(prefix="facecli-") as folder,
        dask.config.set(HERE),
        LocalCluster(
            n_workers=workers or processors(),
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any free port, not always 8787
            preload=["facecli.recognition.distributed"],  # for `dask_setup`
            security=Security.temporary(),  # other users of the machine reach the port, too
            memory_limit=0,  # no templates spilled to the disk
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        ) as started,
    ):
        yield started


def _found(address: str) -> str:
    """The address, where something that speaks Dask's protocol answers within ANSWER_WITHIN.

    Asked first: a `Client` that finds no scheduler waits longer, and ends with a traceback.
    """
    try:
        with (
            said(f"waiting for the Dask scheduler at {address}", ANSWER_WITHIN),
            ThreadPoolExecutor(1) as pool,  # this thread may have an event loop, as in a notebook
        ):
            pool.submit(lambda: asyncio.run(_knock(address))).result()
    except (OSError, TypeError, ValueError) as error:  # the last two: a bad address, TLS not set up
        why = str(error).strip() or "it does not speak Dask's protocol"
        raise SchedulerError(
            f"no Dask scheduler answers at {address}: {why.splitlines()[0]}. Start one with "
            f"`dask scheduler`, or use --scheduler {LOCAL}"
        ) from error
    return address


async def _knock(address: str) -> None:
    from distributed import Security
    from distributed.comm.core import connect

    options = Security().get_connection_args("client")
    async with asyncio.timeout(ANSWER_WITHIN + 2):  # for what answers, but not as Dask does
        (await connect(address, timeout=ANSWER_WITHIN, **options)).abort()


def _require_workers(client: Client) -> None:
    try:
        _within(
            lambda: client.wait_for_workers(1, timeout=WORKERS_WITHIN),
            "the Dask scheduler or a worker",
        )
    except TimeoutError as error:
        raise SchedulerError(
            f"the scheduler has had no worker for {WORKERS_WITHIN:.0f} s: start some with `dask "
            f"worker ADDRESS` where facecli {__version__} is installed (without it, or with "
            f"another version, they leave at once); {KEPT}"
        ) from error


def _require_same_facecli(client: Client) -> None:
    """Asked in words that any Python knows: a worker whose facecli has other modules cannot load
    what is sent to it, and leaves without an answer. One that comes later is asked in `_extractor`.
    """
    answers = _within(
        lambda: client.run(pkgutil.resolve_name, "facecli:__version__", on_error="return"),
        "the Dask scheduler or a worker",
    )
    for worker, found in answers.items():
        if isinstance(found, ImportError | AttributeError):
            raise SchedulerError(
                f"the worker {worker} cannot load facecli ({found}): install facecli {__version__}"
            ) from found
        if isinstance(found, str) and found != __version__:
            raise SchedulerError(
                f"the worker {worker} has facecli {found}, this machine {__version__}: "
                "install the same"
            )


def _several(batches: Iterable[T]) -> Iterator[tuple[T, ...]]:
    rest = iter(batches)
    return iter(lambda: tuple(islice(rest, TOGETHER)), ())


# on a worker -----------------------------------------------------------------------------------

_ONE_AT_A_TIME = Lock()


def dask_setup(_worker: object) -> None:
    """Called by Dask in each process that `local` starts: Ctrl-C is for the one it was typed at."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _batch(
    work: Callable[[Extractor, Sequence[T]], Iterable[R]],
    recipe: Recipe,
    batches: Iterable[Sequence[T]],
) -> list[R]:
    with _ONE_AT_A_TIME:  # a worker may have several threads, and all wait for the same models
        extractor = _extractor(recipe)
    return [result for batch in batches for result in work(extractor, batch)]


@cache
def _extractor(recipe: Recipe) -> Extractor:
    """Loaded once a process. Raises ModelError unless it makes the templates that are wanted."""
    here = f"the worker on {socket.gethostname()}"
    if recipe.facecli != __version__:
        raise SchedulerError(
            f"{here} has facecli {__version__}, this machine {recipe.facecli}: install the same"
        )
    try:
        spec = registry.find_embedder(recipe.model, recipe.embedder_id)
        if spec.embedder_id == recipe.embedder_id:
            return Extractor.load(spec, recipe.device, recipe.detector)
    except ModelError as error:
        raise ModelError(f"{here}: {error}") from error
    raise ModelError(
        f"{here} has another embedder called {recipe.model} ({spec.embedder_id}), "
        f"not {recipe.embedder_id}: add the same model there"
    )
