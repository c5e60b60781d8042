"""Chooses the device on which a network runs, and makes its results repeatable."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from annotate.errors import ModelError, UsageError


def choose_device(name: str) -> str:
    """The torch device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` takes CUDA if available.

    Raises `UsageError` for another name, `ModelError` when the CUDA device does not exist.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"no device is called {name!r}", hint="use auto, cpu, cuda or cuda:1")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(name.partition(":")[2] or 0) >= count:
            raise ModelError(
                f"{name} was asked for, but torch sees {count} CUDA devices",
                hint="use --device auto, or install a CUDA build of torch and its driver",
            )
    return name


HALVING_PAYS = 5_000_000
"""Parameters of one network from which ``auto`` takes bfloat16: small networks are bound by kernel launches,
and the conversions need more of them."""


def halves(precision: str, device: torch.device, weights: int) -> bool:
    """Whether a network with this many parameters trains in bfloat16, according to ``train.precision``.

    bfloat16 has the range of float32, so no loss has to be scaled (Kalamkar et al. 2019).
    """
    if precision != "auto":
        return precision == "bfloat16"
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return able and weights >= HALVING_PAYS


@contextmanager
def repeatable(seed: int, device: str) -> Iterator[None]:
    """Inside, the same seed gives the same results on the same device; torch's settings are restored after.

    Uses one thread: sums then have the same order on every machine, and networks this small do not gain from
    more threads.
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
