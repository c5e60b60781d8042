"""Where the network runs: a name from the user becomes a device that is really there, used repeatably."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from annotate.errors import ModelError, UsageError


def choose_device(name: str) -> str:
    """The torch device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` takes CUDA where there is one.

    Raises `UsageError` for another name, `ModelError` when that CUDA device is not there.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"no device is called {name!r}", hint="use auto, cpu, cuda or cuda:1")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu":
        _require_cuda(name)
    return name


def _require_cuda(name: str) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(name.partition(":")[2] or 0)
    if number >= count:
        raise ModelError(
            f"{name} was asked for, but torch sees {count} CUDA devices",
            hint="use --device auto, or install a CUDA build of torch and its driver",
        )


HALVING_PAYS = 5_000_000
"""Weights of one network from which on ``auto`` takes bfloat16: a small one waits for its operations to
begin, and changing numbers from one kind to the other takes more of them."""


def halves(precision: str, device: torch.device, weights: int) -> bool:
    """Whether the layers of a network of so many weights learn in bfloat16, by what ``train.precision`` says.

    bfloat16 has the range of float32, so no loss has to be scaled (Kalamkar et al. 2019).
    """
    if precision != "auto":
        return precision == "bfloat16"
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return able and weights >= HALVING_PAYS


@contextmanager
def repeatable(seed: int, device: str) -> Iterator[None]:
    """Inside, the same seed gives the same numbers on the same device; outside, nothing has changed.

    One thread: sums are then taken in one order on every machine, and networks this small gain nothing
    from more.
    """
    if device != "cpu":
        # cuBLAS reads it once, when it starts; without it matrix products differ from run to run.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[] if device == "cpu" else [torch.device(device)]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)
