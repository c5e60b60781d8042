"""The time that trainings take is told from short ones."""

import pytest

from annotate.rounds.expected_time import Expected, Pace, duration, fewest_epochs, pace_of


def test_the_pace_is_that_of_an_epoch_and_of_what_every_training_pays_once() -> None:
    now = [0.0]

    def train(epochs: int) -> None:
        # The first call pays for imports, which no later one does.
        now[0] += (100.0 if now[0] == 0 else 0.0) + 2.0 + 0.5 * epochs

    assert pace_of(train, clock=lambda: now[0]) == Pace(fixed=2.0, epoch=0.5)
    assert Pace(2.0, 0.5).of(200) == 102.0


def test_a_clock_that_jitters_gives_no_negative_time() -> None:
    readings = iter([0.0, 3.0, 4.0])
    assert pace_of(lambda epochs: None, clock=lambda: next(readings)) == Pace(fixed=3.0, epoch=0.0)


def test_a_training_that_may_stop_early_has_a_span() -> None:
    assert (fewest_epochs(200, 20), fewest_epochs(5, 20)) == (21, 5)
    said = Expected(40, least=130.0, most=6000.0).sentence()
    assert said == "expected time: 2 min to 1.7 h for 40 trainings, depending on how early each stops"


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (45, "45 s"), (600, "10 min"), (9000, "2.5 h")])
def test_a_duration_is_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert duration(seconds) == text
