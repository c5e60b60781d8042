"""Histograms of oriented gradients, against what OpenCV 4 computed for the same pictures.

`oriented_gradients.npz` beside this file holds `pictures` (n, 64, 64) and `numbers` (n, 144): faces of
examples/videos as `face-motion` cuts them, noise, ramps in four directions and a single gray. The numbers
were made with OpenCV 4.12: `HOGDescriptor((64, 64), (32, 32), (32, 32), (16, 16), 9).compute(picture)`.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from annotate.features._oriented_gradients import SIDE, SIZE, oriented_gradients

FIXTURE = Path(__file__).with_name("oriented_gradients.npz")


def test_the_numbers_are_those_of_opencv_4() -> None:
    with np.load(FIXTURE) as stored:
        pictures, numbers = stored["pictures"], stored["numbers"]
    assert len(pictures) >= 16
    assert (np.ptp(numbers, axis=1) > 0.1).sum() >= 15, "the fixture is not flat"
    ours = np.stack([oriented_gradients(picture) for picture in pictures])
    assert ours.dtype == np.float32
    assert ours == pytest.approx(numbers, abs=1e-6)


def ramp(degrees: float) -> NDArray[np.uint8]:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    radians = np.deg2rad(degrees)
    return (128 + 1.3 * (x * np.cos(radians) + y * np.sin(radians))).astype(np.uint8)


@pytest.mark.parametrize("degrees", [10, 50, 90, 130, 170])
def test_a_ramp_votes_for_its_own_direction_in_every_cell(degrees: int) -> None:
    cells = oriented_gradients(ramp(degrees)).reshape(-1, 9)
    assert (cells.argmax(axis=1) == degrees // 20).all()


def test_a_direction_and_its_opposite_are_the_same() -> None:
    assert oriented_gradients(ramp(30)) == pytest.approx(oriented_gradients(255 - ramp(30)), abs=1e-5)


def test_a_picture_of_one_gray_has_no_gradients() -> None:
    assert not oriented_gradients(np.full((SIDE, SIDE), 77, np.uint8)).any()
    assert oriented_gradients(np.zeros((SIDE, SIDE), np.uint8)).shape == (SIZE,)
