"""Settings of query strategies that cannot be: told at once, and with a way out that is there."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.acquisition.opening import open_strategy
from annotate.config import Settings
from annotate.errors import ConfigError, ModelError, UnknownName
from tests.pools import SENTIMENT, make_pool


@pytest.mark.parametrize("option", ["early", "regression", "classification"])
def test_the_default_cannot_stand_on_itself(option):
    with pytest.raises(ConfigError, match="auto cannot stand on itself") as error:
        open_strategy("auto", {"auto": {option: "auto"}})
    assert "[batch.options.auto]" in error.value.hint


def test_who_needs_two_modalities_names_the_setting_that_adds_one():
    whole = make_pool(6, dimensions=(SENTIMENT,))
    task_id = whole.asked()[0]
    pool = replace(
        whole, predictions={task_id: whole.predictions[task_id]}, missing={task_id: whole.missing[task_id]}
    )
    with pytest.raises(ModelError) as error:
        open_strategy("modality-conflict").select(pool, 2, np.random.default_rng(0))
    assert "protocol.passes" in error.value.hint
    assert "passes" in Settings.model_fields["protocol"].annotation.model_fields


def test_a_name_in_capitals_is_nearly_right():
    with pytest.raises(UnknownName) as error:
        open_strategy("BALD")
    assert error.value.hint == "did you mean 'bald'?"
