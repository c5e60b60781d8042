"""Where blocks of numbers are multiplied: by numpy on the processor, by torch on a GPU."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Device(Protocol):
    """Arrays of both kinds know ``@``, ``argmax``, ``sum`` and indexing, so that one text serves both."""

    def move(self, numbers: NDArray[np.float32]) -> Any:
        """There."""

    def back(self, numbers: Any) -> NDArray[Any]:
        """Here."""


class Processor:
    """Nothing has to be moved."""

    def move(self, numbers: NDArray[np.float32]) -> Any:
        return numbers

    def back(self, numbers: Any) -> NDArray[Any]:
        return np.asarray(numbers)


class Torch:
    """A device of torch, such as ``cuda:0``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def move(self, numbers: NDArray[np.float32]) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self._name)

    def back(self, numbers: Any) -> NDArray[Any]:
        return np.asarray(numbers.cpu().numpy())


def device_of(name: str) -> Device:
    """What `Pool.device` names."""
    return Processor() if name == "cpu" else Torch(name)
