"""Whether this machine meets the requirements of the training settings."""

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec

from annotate.learning.device import choose_device

COMPILERS = ("g++", "clang++", "c++", "cl")


def missing(device: str, precision: str, *, compiles: bool) -> Sequence[tuple[str, str]]:
    """Missing requirements that slow a training down, each with what to do.

    Raises `UsageError` for an unknown device, `ModelError` for one that is not available.
    """
    import torch

    on_gpu = choose_device(device).startswith("cuda")
    problems = []
    if compiles and on_gpu and find_spec("triton") is None:
        problems.append(("train.compile needs the package triton on a GPU", "set it to false"))
    compilers = [name for name in (os.environ.get("CXX", ""), *COMPILERS) if name]
    if compiles and not on_gpu and not any(map(shutil.which, compilers)):
        problems.append(
            ("train.compile needs a C++ compiler, and there is none", "install one, or set it to false")
        )
    if precision == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        problems.append(('train.precision is "bfloat16", which this GPU does not have', 'set it to "auto"'))
    return problems
