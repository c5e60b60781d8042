"""A pool of numbers that every library is given alike, and what a batch of it is worth. Needs numpy alone."""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, CLASSES, LABELLED, CLUMPS = 128, 7, 500, 60
BLOCK = 8192
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Numbers:
    """A pool of `CLUMPS` Gaussian clumps and a linear model's word about it."""

    points: Array
    """(n, WIDTH)"""
    probs: Array
    """(n, CLASSES)"""
    labelled: Array
    """(LABELLED, WIDTH)"""
    labels: NDArray[np.intp]
    weights: Array
    """(WIDTH, CLASSES) of the model."""

    def members(self, count: int) -> Array:
        """(count, n, CLASSES) as if an ensemble had said it."""
        rng = np.random.default_rng(1)
        found = np.empty((count, *self.probs.shape), np.float32)
        for number in range(count):
            raised = self.probs * np.exp(rng.normal(0, 0.5, self.probs.shape))
            found[number] = raised / raised.sum(axis=1, keepdims=True)
        return found


def softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def numbers(n: int, seed: int = 0) -> Numbers:
    """Made block by block."""
    rng = np.random.default_rng(seed)
    places = rng.normal(0, 1.5, (CLUMPS, WIDTH)).astype(np.float32)

    def some(count: int) -> Array:
        return places[rng.integers(CLUMPS, size=count)] + rng.standard_normal((count, WIDTH), np.float32)

    points = np.empty((n, WIDTH), np.float32)
    for start in range(0, n, BLOCK):
        points[start : start + BLOCK] = some(min(BLOCK, n - start))
    weights = rng.normal(0, 0.15, (WIDTH, CLASSES)).astype(np.float32)
    labelled = some(LABELLED)
    labels = (labelled @ weights).argmax(axis=1)
    labels[:CLASSES] = range(CLASSES)
    return Numbers(points, softmax(points @ weights), labelled, labels, weights)


def measured(choose: Callable[[], Any]) -> tuple[NDArray[np.intp], dict[str, float]]:
    """What is chosen, the CPU seconds of choosing, and the bytes it took beyond what was there."""
    before = _resident()
    _forget_peak()
    started = time.process_time()
    chosen = np.asarray(choose()).astype(np.intp)
    cpu = time.process_time() - started
    return chosen, {"cpu": cpu, "bytes": float(max(_peak() - before, 0))}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _forget_peak() -> None:
    """What making the data took does not count."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def nearest(points: Array, centres: Array) -> Array:
    """(n,) squared distance to the nearest of the centres."""
    found, sizes = np.empty(len(points), np.float32), (centres**2).sum(axis=1)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        found[start : start + BLOCK] = (block**2).sum(axis=1) + (sizes - 2 * block @ centres.T).min(axis=1)
    return np.maximum(found, 0)


def radius(given: Numbers, chosen: NDArray[np.intp]) -> float:
    """The largest distance of any sample to the nearest labelled or chosen."""
    return float(np.sqrt(nearest(given.points, np.concatenate([given.labelled, given.points[chosen]])).max()))


def spread(given: Numbers, chosen: NDArray[np.intp]) -> float:
    """Mean squared distance to the nearest labelled or chosen."""
    return float(
        nearest(given.points, np.concatenate([given.labelled, given.points[chosen]])).mean(dtype=float)
    )


def gradient_potential(given: Numbers, chosen: NDArray[np.intp]) -> float:
    """Mean squared distance of gradients to the nearest chosen one's."""
    error = given.probs.copy()
    error[np.arange(len(error)), error.argmax(axis=1)] -= 1
    sizes = (error**2).sum(axis=1) * np.einsum("nd,nd->n", given.points, given.points)
    found = np.empty(len(error))
    for start in range(0, len(error), BLOCK):
        rows = slice(start, start + BLOCK)
        shared = (error[rows] @ error[chosen].T) * (given.points[rows] @ given.points[chosen].T)
        found[rows] = np.maximum(sizes[rows] + (sizes[chosen] - 2 * shared).min(axis=1), 0)
    return float(found.mean())


def typicality(given: Numbers, chosen: NDArray[np.intp]) -> float:
    """Mean over the chosen of one over the mean distance to the 20 nearest of the pool (of 100 000)."""
    some = given.points[:100_000]
    found = []
    for i in chosen:
        apart = np.sort(np.partition(((some - given.points[i]) ** 2).sum(axis=1), 20)[:21])
        found.append(1 / np.sqrt(apart[1:] if apart[0] < 1e-6 else apart[:20]).mean())
    return float(np.mean(found))


def entropies(given: Numbers, chosen: NDArray[np.intp]) -> float:
    """Sum over the chosen, in nats."""
    probs = given.probs[chosen].astype(float)
    return float(-(probs * np.log(probs)).sum())


def information(given: Numbers, chosen: NDArray[np.intp]) -> float:
    """Sum over the chosen of the mutual information of `SAMPLES` members, in nats."""
    members = given.members(SAMPLES)[:, chosen].astype(float)
    mean = members.mean(axis=0)
    return float(-(mean * np.log(mean)).sum() + (members * np.log(members)).sum() / SAMPLES)


def votes(given: Numbers, chosen: NDArray[np.intp]) -> float:
    """Sum over the chosen of the entropy of `COMMITTEE` votes, in nats."""
    said = given.members(COMMITTEE)[:, chosen].argmax(axis=2)
    shares = (said[:, :, None] == np.arange(CLASSES)).mean(axis=0)
    return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum())


COMMITTEE, SAMPLES = 5, 20
WORTH: dict[str, tuple[Callable[[Numbers, NDArray[np.intp]], float], int]] = {
    "radius": (radius, -1),
    "spread": (spread, -1),
    "gradient-potential": (gradient_potential, -1),
    "typicality": (typicality, 1),
    "entropy": (entropies, 1),
    "information": (information, 1),
    "votes": (votes, 1),
}
"""By name: what it is, and whether more (1) or less (-1) is better."""


def one_thread() -> None:
    """Before numpy's libraries are asked for anything."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
