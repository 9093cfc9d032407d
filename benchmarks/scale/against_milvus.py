"""A gallery in Milvus against the same one in a file: decisions, latency, throughput, recall.

    python -m benchmarks.scale.against_milvus milvus://HOST:19530/bench [--count N] [--probes N]

Made-up people, see `synthetic`. Half of the probes are other photos of them, at cosines from 0.35
to 0.85, half are strangers. Both galleries answer in this one run, in turns of 100 probes; the file
is searched with `--exact`, for from 100,000 subjects on its sidecar only proposes. With `local`
instead of an address, a server of the package `milvus` is started.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from benchmarks.scale import synthetic
from facecli.common.decision import accepts
from facecli.common.types import Candidate
from facecli.storage import copying, opening
from facecli.storage.interface import Ranker, Storage
from facecli.storage.milvus.layout import SUBJECTS
from facecli.storage.milvus.store import MilvusStore

DIMENSION, TURN, FPIR = 192, 100, 0.01
Answers = list[list[Candidate]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--probes", type=int, default=2000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = _server(stack, folder) if arguments.address == "local" else arguments.address
        path = folder / "gallery"
        synthetic.gallery(path, arguments.count, DIMENSION)
        file = stack.enter_context(closing(opening.open_storage(path)))
        milvus = stack.enter_context(closing(_copied(file, Path(address))))
        compare(file, milvus, arguments.count, arguments.probes)


def _server(stack: ExitStack, folder: Path) -> str:
    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from support.server import Server

    server = Server(folder / "server")
    stack.callback(server.stop)
    return str(server.address("bench"))


def _copied(file: Storage, address: Path) -> MilvusStore:
    started = time.perf_counter()
    milvus = MilvusStore.create(address, file.reader.embedder_id, file.reader.dimension)
    done = copying.copy(file, milvus)
    seconds = time.perf_counter() - started
    print(f"copied and compared {done.contents.references:,} references in {seconds:.0f} s")
    print(f"its index was ready {_indexed(milvus):.0f} s later")
    return milvus


def _indexed(milvus: MilvusStore) -> float:
    """Seal the segments, so that the index is searched, not what came last."""
    from pymilvus import MilvusClient

    started, client = time.perf_counter(), milvus.client
    with client.milvus() as engine:
        engine.flush(client.name(SUBJECTS), timeout=600)
    asked = MilvusClient(uri=client.address.uri)
    while int(asked.describe_index(client.name(SUBJECTS), "vector")["pending_index_rows"]):
        time.sleep(1)
    time.sleep(10)  # until the query node has it, too
    return time.perf_counter() - started


def compare(file: Storage, milvus: Storage, count: int, probes: int) -> None:
    """Both answer the same probes; what they say, and how fast."""
    half = probes // 2
    templates = file.reader.templates().templates
    chosen = np.random.default_rng(2).choice(count, half, replace=False)
    scores = np.random.default_rng(3).uniform(0.35, 0.85, half).astype(np.float32)
    mates = synthetic.again(templates[chosen], scores, seed=4)
    strangers = synthetic.people(half, DIMENSION, seed=5)
    threshold = float(np.quantile((strangers @ templates.T).max(axis=1), 1 - FPIR))
    rankers = file.reader.ranker(True, threshold), milvus.reader.ranker(False, threshold)
    every = np.concatenate([mates, strangers])
    found: tuple[Answers, Answers] = ([], [])
    seconds = [0.0, 0.0]
    for start in range(0, len(every), TURN):
        for i, ranker in enumerate(rankers):
            began = time.perf_counter()
            found[i].extend(_answers(ranker, every[start : start + TURN]))
            seconds[i] += time.perf_counter() - began
    same = sum(
        _decided(a, threshold) == _decided(b, threshold) for a, b in zip(*found, strict=True)
    )
    first = sum(a[0] == b[0] for a, b in zip(*found, strict=True))
    five = sum(a == b for a, b in zip(*found, strict=True))
    print(f"N = {count:,}, threshold {threshold:.4f} (FPIR {FPIR:g} of these strangers)")
    print(f"same decision for {same:,} of {len(every):,} probes, same best candidate with the same "
          f"score {first:,}, the same five {five:,}")  # fmt: skip
    for name, ranker, took in zip(("file", "Milvus"), rankers, seconds, strict=True):
        alone = [_timed(ranker, probe) for probe in every[:: len(every) // 40]]
        print(f"{name:7} one at a time {np.median(alone) * 1e3:6.1f} ms (p95 "
              f"{np.quantile(alone, 0.95) * 1e3:.1f}), {len(every) / took:6.1f} searches a second "
              f"with {ranker.at_once} at once")  # fmt: skip
    info = milvus.reader.index(threshold)
    print(f"index recall at the threshold: {info.agreed} of {info.asked} made probes")


def _answers(ranker: Ranker, probes: np.ndarray) -> Answers:
    if ranker.at_once == 1:
        return [ranker.candidates(probe, 5) for probe in probes]
    with ThreadPoolExecutor(ranker.at_once) as pool:
        return list(pool.map(lambda probe: ranker.candidates(probe, 5), probes))


def _timed(ranker: Ranker, probe: np.ndarray) -> float:
    began = time.perf_counter()
    ranker.candidates(probe, 5)
    return time.perf_counter() - began


def _decided(candidates: list[Candidate], threshold: float) -> str | None:
    best = candidates[0]
    return best.subject if accepts(best.score, threshold) else None


if __name__ == "__main__":
    main()
