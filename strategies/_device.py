"""Moves blocks of numbers to the device that multiplies them: numpy on the CPU, torch on a GPU."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Device(Protocol):
    """Where arrays are computed. Arrays of both kinds have ``@``, ``argmax``, ``sum`` and indexing."""

    def move(self, numbers: NDArray[np.float32]) -> Any:
        """The same array on the device."""

    def back(self, numbers: Any) -> NDArray[Any]:
        """The same array in numpy."""


class Processor:
    """The CPU, where nothing has to be moved."""

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
    """The device that `Pool.device` names."""
    return Processor() if name == "cpu" else Torch(name)
