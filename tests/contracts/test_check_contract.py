"""What every check promises, whoever wrote it."""

import math

import numpy as np
import pytest

from annotate.registry import CHECKS
from annotate.types import Observed, Segment

pytestmark = pytest.mark.parametrize("name", CHECKS.names())


def hum(seconds: float) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * 220 * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


BARE = Observed(Segment(0, 1_000_000), np.zeros(16_000, np.float32), ())
SPOKEN = Observed(Segment(0, 2_000_000, "lay white by s zero again"), hum(2), ((0, 2_000_000),))


@pytest.mark.parametrize("observed", [BARE, SPOKEN])
def test_it_measures_a_number_a_word_or_nothing_and_twice_the_same(name: str, observed: Observed) -> None:
    value = CHECKS.get(name)().measure(observed)
    assert value is None or isinstance(value, str) or math.isfinite(value)
    # Whoever writes a rule is told by the unit whether the value is a number or a word.
    assert value is None or isinstance(value, str) == (CHECKS.get(name)().unit == "")
    assert CHECKS.get(name)().measure(observed) == value


def test_it_has_words_for_people(name: str) -> None:
    check = CHECKS.get(name)()
    assert CHECKS.descriptions()[name]
    assert check.low or check.high
    assert isinstance(check.unit, str)
