"""Enrolment over Dask workers: the same gallery as on threads, whatever happens to the workers.

Real schedulers and worker processes, on the loopback interface.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from support.galleries import Command, collins, environment, hopper, write_variants
from support.patience import LAST_RESORT
from support.places import ROOT

from facecli import Gallery
from facecli.common import waiting
from facecli.common.enums import DetectorName, Device, Reason
from facecli.common.errors import GalleryError, ModelError, SchedulerError, UsageError
from facecli.common.parallel import BATCH, batches
from facecli.common.version import __version__
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.enroll import UNSEEN, EnrollReport, EnrollStatus
from facecli.recognition import distributed as cluster
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor

# Dask's own limits, here and in the processes that are started: on a busy machine these pass.
for limit in ("CONNECT", "TCP"):
    os.environ[f"DASK_DISTRIBUTED__COMM__TIMEOUTS__{limit}"] = f"{LAST_RESORT:.0f}s"
distributed = pytest.importorskip("distributed", reason="NOT CHECKED: pip install 'facecli[dask]'")
psutil = pytest.importorskip("psutil")  # distributed needs it, too

SENT = BATCH * cluster.TOGETHER  # photos that a worker gets at once
EACH = 40  # photos a subject: more than a batch


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler or a worker that is slow to come is waited for."""
    monkeypatch.setattr(cluster, "ANSWER_WITHIN", LAST_RESORT)
    monkeypatch.setattr(cluster, "WORKERS_WITHIN", LAST_RESORT)
    monkeypatch.setattr(cluster, "SILENT_FOR", LAST_RESORT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects' photos, and some that cannot be used."""
    root = tmp_path_factory.mktemp("photos")
    write_variants(root / "Grace Hopper", hopper(), EACH, width=160)
    write_variants(root / "Eileen Collins", collins(), EACH, first=EACH, width=160)
    (root / "Grace Hopper" / "007 text.jpg").write_text("not a photo")
    shutil.copy(root / "Grace Hopper" / "003.jpg", root / "Grace Hopper" / "020 copy.jpg")
    return root


@pytest.fixture(scope="module")
def photos(folder: Path) -> list[LabelledPhoto]:
    return [LabelledPhoto(path, path.parent.name) for path in sorted(folder.glob("*/*"))]


@pytest.fixture(scope="module")
def here(photos: list[LabelledPhoto], tmp_path_factory) -> tuple[EnrollReport, list[tuple]]:
    """What a run on two threads of this process reports and writes."""
    path = tmp_path_factory.mktemp("here") / "g.facecli"
    with opened(path) as gallery:
        report = gallery.enroll(photos, workers=2)
    return report, rows(path)


@pytest.fixture(scope="module")
def recipe() -> cluster.Recipe:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    return cluster.Recipe(spec.name, spec.embedder_id, Device.AUTO, DetectorName.YUNET)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "home")


def opened(path: Path) -> Gallery:
    return Gallery.open(path, model=registry.DEFAULT_EMBEDDER, create=True)


def rows(path: Path) -> list[tuple]:
    """Everything enrolled, in order, templates to the bit."""
    with Gallery.open(path) as gallery:
        return [
            (r.id, r.subject, r.photo_sha256, r.path, r.face_index, r.template.vector.tobytes())
            for r in gallery.storage.reader.references()
        ]


@contextmanager
def process(
    *words: str | Path, cwd: Path, home: Path, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process in a group of its own; it and its children are killed at the end."""
    started = subprocess.Popen(
        [sys.executable, *words],
        cwd=cwd,
        env=environment(home, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # A shell's background job is started with SIGINT ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield started
    finally:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(started.pid).children(recursive=True):
                child.kill()
        started.kill()
        started.communicate()


@contextmanager
def scheduling(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`dask scheduler` as a user starts it, without workers; its address and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ("-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(port))
    with process(*words, "--no-dashboard", cwd=folder, home=folder) as started:
        yield f"tcp://127.0.0.1:{port}", started


def working(
    address: str, folder: Path, **variables: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A `dask worker` with two threads for a scheduler."""
    words = ("-m", "dask", "worker", address, "--nthreads", "2", "--no-dashboard")
    return process(*words, cwd=folder, home=folder, **variables)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one worker, which stands in another folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with scheduling(folder) as (found, _), working(found, folder):
        yield found


def children() -> list[psutil.Process]:
    """The workers that this process has started."""
    mine = psutil.Process().children()
    return [child for child in mine if "spawn_main" in " ".join(child.cmdline())]


# the same gallery ------------------------------------------------------------------------------


def test_processes_here_make_the_gallery_that_threads_make(photos, here, tmp_path: Path):
    seen: list[object] = []
    with opened(tmp_path / "g") as gallery:
        report = gallery.enroll(photos, scheduler="local", workers=2, progress=seen.append)
        assert "extractor" not in vars(gallery)  # the models were loaded by the workers alone
    assert report == here[0]
    assert rows(tmp_path / "g") == here[1]
    assert seen == list(report.items)
    assert report.count(EnrollStatus.ENROLLED) == 2 * EACH
    assert report.count(EnrollStatus.ALREADY) == report.count(EnrollStatus.SKIPPED) == 1


def test_a_scheduler_makes_the_same_and_a_second_run_skips(photos, here, address, tmp_path: Path):
    with opened(tmp_path / "g") as gallery:
        report = gallery.enroll(photos, scheduler=address)
        again = gallery.enroll(photos, scheduler=address)
    assert report == here[0]
    assert rows(tmp_path / "g") == here[1]
    assert again.count(EnrollStatus.ENROLLED) == 0
    assert again.count(EnrollStatus.ALREADY) == 2 * EACH + 1


def test_relative_paths_stay_though_workers_stand_elsewhere(
    folder: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    names = ["Grace Hopper/003.jpg", "Grace Hopper/gone.jpg"]
    with opened(tmp_path / "g") as gallery:
        report = gallery.enroll([LabelledPhoto(Path(n), "G") for n in names], scheduler=address)
    assert [item.path for item in report.items] == names
    assert [row[3] for row in rows(tmp_path / "g")] == names[:1]
    assert report.items[1].failure.path == names[1]
    assert report.items[1].failure.detail == "check the spelling of the path"


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs a path of one process only")
def test_a_photo_that_only_a_worker_cannot_see_says_so(
    folder: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder / "Grace Hopper")
    with opened(tmp_path / "g") as gallery:
        mine = LabelledPhoto(Path("/proc/self/cwd/003.jpg"), "Grace Hopper")
        (item,) = gallery.enroll([mine], scheduler=address).items
    assert (item.status, item.failure.reason) == (EnrollStatus.SKIPPED, Reason.NOT_FOUND)
    assert item.failure.detail == UNSEEN


def test_a_bounded_number_of_photos_is_under_way(address: str, recipe: cluster.Recipe):
    taken: list[Path] = []

    def paths() -> Iterator[Path]:
        for number in range(20 * SENT):
            taken.append(Path(f"/nowhere/{number}"))
            yield taken[-1]

    with cluster.over(address, recipe) as run:
        results = run(Extractor.batch, batches(paths(), lambda path: path))
        first = next(results)
        assert len(taken) <= cluster.AHEAD * 2 * SENT  # the worker has two threads
        found = [first, *results]
    assert [failure.path for failure in found] == [str(path) for path in taken]


# what happens to workers -----------------------------------------------------------------------


@pytest.mark.slow
def test_workers_killed_in_the_middle_cost_no_photo(photos, here, tmp_path: Path):
    killed: list[psutil.Process] = []

    def kill_once(_: object) -> None:
        if not killed:
            killed.extend(children())
            for worker in killed:
                worker.kill()

    with opened(tmp_path / "g") as gallery:
        report = gallery.enroll(photos, scheduler="local", workers=2, progress=kill_once)
    assert len(killed) == 2
    assert report == here[0]
    assert rows(tmp_path / "g") == here[1]


def die(extractor: Extractor, item: int) -> None:
    """Work that kills whoever does it."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_work_that_kills_every_worker_ends_in_an_error(recipe: cluster.Recipe):
    with (
        pytest.raises(SchedulerError, match=r"4 workers died .* is kept"),
        cluster.over("local", recipe, 1) as run,
    ):
        list(run(die, [1]))
    assert children() == []


def test_a_scheduler_lost_on_the_way_keeps_what_was_enrolled(photos, here, tmp_path: Path):
    with scheduling(tmp_path) as (found, scheduler), working(found, tmp_path):
        with opened(tmp_path / "g") as gallery, pytest.raises(SchedulerError, match="was lost"):
            gallery.enroll(photos, scheduler=found, progress=lambda _: scheduler.kill())
        kept = len(rows(tmp_path / "g"))
        assert 0 < kept < 2 * EACH
    with opened(tmp_path / "g") as gallery:
        report = gallery.enroll(photos, workers=2)
    assert report.count(EnrollStatus.ENROLLED) == 2 * EACH - kept
    assert rows(tmp_path / "g") == here[1]


def test_a_scheduler_lost_while_it_is_asked_something_is_an_error(
    recipe: cluster.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As where a result is long in coming: who is alive is asked then."""
    with (
        scheduling(tmp_path) as (found, scheduler),
        working(found, tmp_path),
        pytest.raises(SchedulerError, match="was lost") as caught,
    ):
        monkeypatch.setattr(cluster, "ANSWER_WITHIN", 4.0)  # only to wait less
        monkeypatch.setattr(cluster, "LOOK_EACH", 0.001)  # it is asked nearly all the time
        with cluster.over(found, recipe) as run:
            Timer(1.0, scheduler.kill).start()
            list(run(lambda *_: time.sleep(LAST_RESORT), [["a photo"]]))
    assert cluster.KEPT in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs processes that can be stopped")
@pytest.mark.parametrize("who", ["scheduler", "worker"])
def test_who_is_stopped_is_waited_for_aloud_and_not_for_ever(
    photos, tmp_path: Path, who: str, monkeypatch, caplog: pytest.LogCaptureFixture
):
    with scheduling(tmp_path) as (found, scheduler), working(found, tmp_path) as worker:
        node = psutil.Process((scheduler if who == "scheduler" else worker).pid)

        def stop(_: object) -> None:
            for process in (node, *node.children(recursive=True)):
                process.suspend()  # SIGSTOP: its connections stay, as where a network goes
            monkeypatch.setattr(cluster, "SILENT_FOR", 4.0)  # only to wait less
            monkeypatch.setattr(waiting, "SAID_AFTER", 0.1)

        with opened(tmp_path / "g") as gallery, pytest.raises(SchedulerError) as caught:
            gallery.enroll(photos, scheduler=found, progress=stop)
    assert f"the Dask {who} " in str(caught.value) and "silent for 4 s" in str(caught.value)
    assert cluster.KEPT in str(caught.value)
    assert f"waiting for {'an answer of ' * (who == 'scheduler')}the Dask {who}" in caplog.text
    assert 0 < len(rows(tmp_path / "g")) < 2 * EACH


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs processes that can be stopped")
def test_a_stopped_worker_of_this_machine_ends_it_too(photos, tmp_path: Path, monkeypatch):
    def stop(_: object) -> None:
        for worker in children():
            worker.suspend()
        monkeypatch.setattr(cluster, "SILENT_FOR", 4.0)

    with opened(tmp_path / "g") as gallery, pytest.raises(SchedulerError, match="silent for 4 s"):
        gallery.enroll(photos, scheduler="local", workers=1, progress=stop)
    assert children() == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs process groups")
def test_ctrl_c_keeps_what_was_enrolled(folder: Path, tmp_path: Path):
    for number in range(20):
        shutil.copytree(folder / "Grace Hopper", tmp_path / "many" / f"Grace {number}")
    words = ("-m", "facecli", "enroll", tmp_path / "many", "-g", tmp_path / "g")
    with process(*words, "--scheduler", "local", cwd=tmp_path, home=tmp_path) as run:
        while run.poll() is None and not _enrolled(tmp_path / "g"):
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does it: workers get it, too
        printed = run.communicate(timeout=LAST_RESORT)[0].decode()
    assert run.returncode == 130, printed
    assert printed == (
        "facecli: interrupted; what was enrolled is kept, run the same command to go on\n"
    )
    assert 0 < _enrolled(tmp_path / "g") < 20 * EACH


def _enrolled(path: Path) -> int:
    with suppress(GalleryError), Gallery.open(path) as gallery:
        return gallery.info().references
    return 0


# errors ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_scheduler_is_an_error_in_bounded_time(
    recipe: cluster.Recipe, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster, "ANSWER_WITHIN", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # accepts, and never says a word
        silent = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        for where in ("tcp://127.0.0.1:1", silent, "tls://127.0.0.1:1", "tcp://a b:1"):
            start = time.monotonic()
            with (
                pytest.raises(SchedulerError, match=f"answers at {re.escape(where)}: "),
                cluster.over(where, recipe),
            ):
                raise AssertionError("somebody answered")
            assert time.monotonic() - start < LAST_RESORT / 10


def test_no_scheduler_ends_with_code_5_and_a_line(command: Command, folder: Path, tmp_path: Path):
    run = command("enroll", folder, "-g", tmp_path / "g", "--scheduler", "nonsense")
    assert (run.returncode, run.stdout) == (5, "")
    assert run.stderr.startswith("facecli: error: no Dask scheduler answers at nonsense: ")
    assert run.stderr.count("\n") == 1


def test_a_scheduler_without_workers_is_an_error(
    recipe: cluster.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster, "WORKERS_WITHIN", 1.0)
    with (
        scheduling(tmp_path) as (found, _),
        pytest.raises(SchedulerError, match="no worker for 1 s"),
        cluster.over(found, recipe),
    ):
        raise AssertionError("it went on without workers")


def test_a_worker_with_another_facecli_or_model_is_refused(address: str, recipe: cluster.Recipe):
    for other, kind, said in (
        (replace(recipe, facecli="0.0.1"), SchedulerError, "has facecli .* this machine 0.0.1"),
        (replace(recipe, embedder_id="other:0:p1-0"), ModelError, "has another embedder"),
        (replace(recipe, model="nobody"), ModelError, "worker on .* no embedder called 'nobody'"),
    ):
        with pytest.raises(kind, match=said), cluster.over(address, other) as run:
            list(run(Extractor.photo, [Path("x")]))


@pytest.mark.parametrize(
    ("there", "said"),
    [('__version__ = "0.1.0"', f"has facecli 0.1.0, this machine {__version__}: install"),
     ("raise ImportError('none here')", "load facecli .none here.: install facecli")],
)  # fmt: skip
def test_a_worker_that_cannot_load_what_is_sent_is_refused_at_once(
    recipe: cluster.Recipe, tmp_path: Path, there: str, said: str
):
    """Such as one of 0.1.0, whose modules had other names."""
    (tmp_path / "other" / "facecli").mkdir(parents=True)
    (tmp_path / "other" / "facecli" / "__init__.py").write_text(there)
    with (
        scheduling(tmp_path) as (found, _),
        working(found, tmp_path, PYTHONPATH=str(tmp_path / "other")),
        pytest.raises(SchedulerError, match=said),
        cluster.over(found, recipe),
    ):
        raise AssertionError("it went on")


def test_how_many_workers_is_not_the_user_s_to_say_for_a_cluster(recipe: cluster.Recipe):
    with pytest.raises(UsageError, match="--workers"), cluster.over("tcp://host:1", recipe, 2):
        raise AssertionError("it was accepted")


def test_a_missing_extra_is_named(command: Command, folder: Path, tmp_path: Path):
    (tmp_path / "distributed.py").write_text("raise ImportError('as if it were not installed')")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    words = ("enroll", folder, "-g", tmp_path / "g", "--scheduler", "local")
    run = command(*words, PYTHONPATH=paths)
    assert run.returncode == 2
    assert "pip install 'facecli[dask]'" in run.stderr


# who can reach it ------------------------------------------------------------------------------


def test_nobody_else_reaches_the_workers_that_are_started_here(recipe: cluster.Recipe):
    with cluster.over("local", recipe, 1):
        found = [
            connection.laddr
            for process in (psutil.Process(), *children())
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert len(found) >= 3  # a scheduler, a nanny, a worker
        assert {address.ip for address in found} == {"127.0.0.1"}
        assert [a.port for a in found if not _refuses(a.port)] == []


def _refuses(port: int) -> bool:
    """Whether a stranger gets no page over HTTP there, and no connection over TLS."""
    with socket.create_connection(("127.0.0.1", port), LAST_RESORT) as plain, suppress(OSError):
        plain.sendall(b"GET /info/main/workers.html HTTP/1.0\r\n\r\n")
        answer = plain.recv(100)
        if answer.startswith(b"HTTP/"):
            return b" 404 " in answer
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), LAST_RESORT) as raw,
            context.wrap_socket(raw) as secret,
        ):
            return not secret.recv(1)
    except ssl.SSLError:
        return True
