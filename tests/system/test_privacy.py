"""Closed by default: private files whatever the umask, no network, nothing that runs what it reads.

Encryption, erasure, hostile files and archives have tests of their own; docs/threat-model.md
says which.
"""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.galleries import (
    Command,
    collins,
    environment,
    hopper,
    new_store,
    reference,
    write_variants,
)
from support.places import ROOT, TESTS

from facecli.storage.search import candidates

SOURCES = sorted((ROOT / "facecli").rglob("*.py"))
OPEN_MODES = stat.S_IRWXG | stat.S_IRWXO


def too_open(folder: Path) -> list[str]:
    """Files and folders below that others than their owner may touch."""
    return [
        f"{path.relative_to(folder)} {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink() and path.lstat().st_mode & OPEN_MODES
    ]


@pytest.fixture
def no_umask() -> Iterator[None]:
    """New files get every right that their maker does not withhold."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.slow
def test_all_that_commands_write_is_its_owner_s_whatever_the_umask(tmp_path: Path) -> None:
    command, made = Command(tmp_path / "home"), tmp_path / "made"
    made.mkdir()
    photos = tmp_path / "photos"
    write_variants(photos / "Grace", hopper(), 3)
    write_variants(photos / "Eileen", collins(), 3)
    gallery = ("-g", made / "new" / "folder" / "g")
    for arguments in (
        ("enroll", photos, *gallery),
        ("group", photos, "--report", made / "groups.html", *gallery),
        ("group", "export", made / "sorted" / "deep", "--copy", *gallery),
        ("identify", hopper(), "--annotate", made / "pictures" / "deep", *gallery),
        ("gallery", "export", made / "export", *gallery),
        ("gallery", "backup", made / "backup", *gallery),
        ("gallery", "audit", "--report", made / "audit.html", *gallery),
        ("gallery", "remove", "Grace", *gallery),
        ("gallery", "purge", "Grace", "--yes", "--receipt", made / "receipt", *gallery),
        ("gallery", "check", "--repair", *gallery),
        ("gallery", "key", made / "key"),
        ("gallery", "encrypt", "--key-file", made / "key", *gallery),
        ("gallery", "decrypt", "--key-file", made / "key", *gallery),
        ("evaluate", photos, "--report", made / "page.html", "--plots", made / "plots" / "deep"),
    ):
        done = command(*arguments, umask=0)
        assert done.returncode == 0, (arguments, done.stderr)
    assert too_open(made) == []
    assert too_open(tmp_path / "home") == []
    names = {path.name for path in [*made.rglob("*"), *(tmp_path / "home").rglob("*")]}
    assert {"g", "g.groups", "groups.html", "000.jpg", "grace_hopper.jpg", "export", "backup",
            "audit.html", "receipt", "page.html", "key"} <= names  # fmt: skip
    assert [name for name in names if name.startswith("g.before-repair")]
    assert [name for name in names if name.endswith(".svg")]
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()]  # cached graphs


def test_log_files_and_sidecars_of_an_open_gallery_are_its_owner_s(
    tmp_path: Path, no_umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    with closing(new_store(tmp_path / "new" / "g")) as store:
        store.add([reference(f"P{seed}", seed) for seed in range(40)])
        candidates.keep_in_step(store.reader)
        names = {path.name for path in (tmp_path / "new").iterdir()}
        assert names == {"g", "g-wal", "g-shm", "g.rabitq"}
        assert too_open(tmp_path) == []


def test_a_writer_killed_on_the_way_leaves_nothing_for_others(
    tmp_path: Path, no_umask: None
) -> None:
    code = (
        "import os, sys; sys.path[:0] = [sys.argv[2]]\n"
        "from pathlib import Path\n"
        "from facecli.storage.maintenance import backup\n"
        "from facecli.storage.sqlite.store import GalleryFile\n"
        "from support.galleries import new_store, reference\n"
        "store = new_store(Path(sys.argv[1])); store.add([reference('A', 1)])\n"
        "backup._check = lambda *_: os._exit(9)\n"
        "backup.backup(store, Path(sys.argv[1]).with_name('b'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x" / "g", TESTS],
        env=environment(tmp_path / "home"), check=False,
    )  # fmt: skip
    assert done.returncode == 9
    left = [path for path in (tmp_path / "x").rglob("*") if path.name not in ("g", "b")]
    assert any(path.is_file() and b"photos/A" in path.read_bytes() for path in left)
    assert too_open(tmp_path) == []


# the network -----------------------------------------------------------------------------------

NO_SOCKETS = """
import os, socket
def refuse(*_, **__):
    open(os.environ["WAS_USED"], "w").close()
    raise OSError("there is no network")
socket.socket.__init__ = refuse
socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.mark.slow
def test_no_command_but_pull_touches_the_network(tmp_path: Path) -> None:
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(NO_SOCKETS)
    used = tmp_path / "used"
    alone = {"PYTHONPATH": os.pathsep.join([str(guard), str(ROOT)]), "WAS_USED": str(used)}
    command, gallery = Command(tmp_path / "home"), ("-g", tmp_path / "g")
    photos = tmp_path / "photos"
    write_variants(photos / "Grace", hopper(), 2)
    write_variants(photos / "Eileen", collins(), 2)
    for arguments in (
        ("enroll", photos, *gallery),
        ("identify", hopper(), *gallery),
        ("verify", hopper(), collins(), *gallery),
        ("threshold", *gallery),
        ("evaluate", photos, "--report", tmp_path / "page.html"),
        ("gallery", "info", *gallery),
        ("gallery", "audit", "--report", tmp_path / "audit.html", *gallery),
        ("gallery", "purge", "Grace", "--yes", *gallery),
        ("doctor", *gallery),
        ("models", "list"),
    ):
        done = command(*arguments, **alone)
        assert done.returncode == 0, (arguments, done.stderr)
        assert not used.exists(), arguments
    pull = ("models", "pull", "auraface")
    offline = command(*pull, FACECLI_OFFLINE="1", **alone)
    assert offline.returncode == 5 and "FACECLI_OFFLINE is set" in offline.stderr
    assert not used.exists()
    assert command(*pull, **alone).returncode == 5
    assert used.exists(), "the guard does not guard"


def test_where_the_system_has_no_network_identify_works(tmp_path: Path) -> None:
    alone = ["unshare", "-rn"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("NOT CHECKED: unshare -rn may not be run here; sockets that raise are")
    command = Command(tmp_path / "home")
    for arguments in (("enroll", hopper(), "-s", "Grace"), ("identify", hopper(), "--json")):
        done = subprocess.run(
            [*alone, *command.arguments(*arguments, "-g", tmp_path / "g")],
            env=environment(tmp_path / "home"), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["subject"] == "Grace"


# what its sources may not say --------------------------------------------------------------------

NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "requests", "httpx",
           "aiohttp", "xmlrpc", "socketserver", "asyncio", "distributed", "dask",
           "pymilvus", "grpc"}  # fmt: skip
RUNS_WHAT_IT_READS = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib",
                      "yaml", "subprocess", "pty", "code", "runpy"}  # fmt: skip
# What is for the network, and is loaded only when it is asked for.
ABOUT_THE_NETWORK = (
    "recognition/model_zoo/pull.py", "recognition/distributed.py", "storage/milvus/",
)  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv",
         "os.spawnv", "np.load", "numpy.load"}  # fmt: skip


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def faults(text: str) -> Iterator[str]:
    """What a module does that none may."""
    tree = ast.parse(text)
    yield from (f"imports {name}" for name in imports(tree) if name in RUNS_WHAT_IT_READS)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, keywords = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
        allowed = keywords.get("allow_pickle")
        plain_load = called.endswith(".load") and isinstance(allowed, ast.Constant)
        itself = called == "os.execv" and ast.unparse(node.args[0]) == "sys.executable"
        harmless = itself or (plain_load and allowed.value is False)
        if called in CALLS and not harmless:
            yield f"line {node.lineno} calls {called}"
        for name in ("shell", "allow_pickle"):
            value = keywords.get(name)
            if value is not None and not (isinstance(value, ast.Constant) and value.value is False):
                yield f"line {node.lineno} says {name}"


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from pickle import loads", "eval('1')", "import os; os.system('ls')",
     "import subprocess", "np.load(f)", "np.load(f, allow_pickle=True)", "run(a, shell=True)",
     "def f():\n    exec(x)"],
)  # fmt: skip
def test_the_search_of_the_sources_finds_what_it_looks_for(text: str) -> None:
    assert list(faults(text))
    assert not list(faults("np.load(f, allow_pickle=False); re.compile(x); model.eval()"))
    assert not list(faults("os.execv(sys.executable, a)")) and list(faults("os.execv(path, a)"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_what_it_reads_or_goes_online(source: Path) -> None:
    text, name = source.read_text(encoding="utf-8"), source.relative_to(ROOT / "facecli")
    assert list(faults(text)) == []
    if not name.as_posix().startswith(ABOUT_THE_NETWORK):
        assert sorted(NETWORK & set(imports(ast.parse(text)))) == []


def test_every_promise_of_the_threat_model_names_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    promises = page[page.index("## What it promises") : page.index("## What it does not")]
    rows = [line for line in promises.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 12
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)`", row)
        assert named, row
        assert [name for name in named if not (ROOT / name).is_file()] == []
