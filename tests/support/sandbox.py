"""The real command under limits: its own process, bounded memory, bounded processor time.

`Sandbox` imports facecli once and forks a process for each command, so that hundreds of hostile
files cost hundredths of a second each and none can take the others down.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from support.patience import LAST_RESORT
from support.places import ROOT, TESTS

CPU_SECONDS = 60
MEMORY = 3 << 30  # bytes of data and of stack: two photos of the largest size and the models
WORDS = ("Traceback (most recent call last)", "Fatal Python error", "Segmentation fault")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. code: its exit code, -N for signal N. rss: bytes at its peak."""

    code: int
    out: str
    err: str
    seconds: float
    rss: int

    @property
    def crashed(self) -> bool:
        """It ended in another way than by an exit code, or showed its inside."""
        return self.code < 0 or any(word in self.out + self.err for word in WORDS)

    @property
    def hung(self) -> bool:
        """It was ended at its limit of processor or wall time."""
        return self.code in (-24, -9)  # SIGXCPU, SIGKILL


class Sandbox:
    """Runs facecli's commands one after another; use it in a `with` statement.

    home: FACECLI_HOME of all commands. worst: the largest peak of memory so far, bytes.
    """

    def __init__(self, home: Path, cpu: int = CPU_SECONDS, memory: int = MEMORY) -> None:
        self.home = home
        self.worst = 0
        self.runs = 0
        clean = {k: v for k, v in os.environ.items() if not k.startswith("FACECLI_")}
        here = [str(ROOT), str(TESTS), clean.get("PYTHONPATH", "")]
        paths = os.pathsep.join(filter(None, here))
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(cpu), str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**clean, "PYTHONPATH": paths, "FACECLI_HOME": str(home), "HOME": str(home)},
        )

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate(timeout=LAST_RESORT)

    def __call__(
        self, *arguments: str | Path, cwd: Path | None = None, stdin: Path | None = None
    ) -> Done:
        """Run `facecli ARGUMENTS` to its end."""
        assert self._server.stdin and self._server.stdout
        words = [os.fsencode(a).decode("latin-1") for a in arguments]
        job = {"words": words, "cwd": str(cwd or "/"), "stdin": str(stdin or os.devnull)}
        self._server.stdin.write(json.dumps(job).encode() + b"\n")
        self._server.stdin.flush()
        done = Done(**json.loads(self._server.stdout.readline()))
        self.worst = max(self.worst, done.rss)
        self.runs += 1
        return done


class Facecli:
    """Runs commands and holds them to what every one must keep: no crash, no hang, bounded."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.home = sandbox.home

    def __call__(
        self, *arguments: str | Path, cwd: Path | None = None, stdin: Path | None = None
    ) -> Done:
        done = self._sandbox(*arguments, cwd=cwd, stdin=stdin)
        assert not done.hung and not done.crashed, f"{done.code}\n{done.out}\n{done.err}"
        assert done.code in (0, 2, 3, 4, 5, 6, 74), done.err
        assert not set(done.out + done.err) & set("\x1b\x07\x08\u202e"), done.out
        return done

    def refused(self, code: int, *arguments: str | Path, cwd: Path | None = None) -> str:
        """What it says to something it must refuse: one error on stderr and this exit code."""
        done = self(*arguments, cwd=cwd)
        assert (done.code, done.out) == (code, ""), f"{done.code}\n{done.out}\n{done.err}"
        assert done.err.startswith("facecli: error: ") and done.err.endswith("\n")
        return done.err


def _serve(cpu: int, memory: int) -> None:
    """Read jobs from stdin, a line each, until it ends."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import cv2  # noqa: F401
    import faiss  # noqa: F401
    import onnxruntime  # noqa: F401
    import scipy.stats  # noqa: F401
    import sqlite_utils  # noqa: F401

    import facecli.cli.app
    import facecli.gallery.gallery
    import facecli.report  # noqa: F401

    for line in sys.stdin.buffer:
        print(json.dumps(_job(json.loads(line), cpu, memory)), flush=True)


def _job(job: dict[str, str], cpu: int, memory: int) -> dict[str, object]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(job, cpu, memory, out.fileno(), err.fileno())
        while (ended := os.wait4(child, os.WNOHANG))[0] == 0:
            if time.monotonic() - start > LAST_RESORT:
                os.kill(child, 9)
            time.sleep(0.002)
        texts = [os.pread(f.fileno(), 1 << 28, 0).decode("utf-8", "replace") for f in (out, err)]
        return {
            "code": os.waitstatus_to_exitcode(ended[1]),
            "out": texts[0],
            "err": texts[1],
            "seconds": time.monotonic() - start,
            "rss": ended[2].ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }


def _run(job: dict[str, str], cpu: int, memory: int, out: int, err: int) -> None:
    """In the child: the limits, the streams, and then what `python -m facecli` does."""
    import facecli.cli

    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for target, source in ((0, os.open(job["stdin"], os.O_RDONLY)), (1, out), (2, err)):
        os.dup2(source, target)
    os.chdir(job["cwd"])
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["facecli", *(os.fsdecode(word.encode("latin-1")) for word in job["words"])]
    code = 70
    try:
        facecli.cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
