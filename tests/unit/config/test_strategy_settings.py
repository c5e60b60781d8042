"""Settings of query strategies that cannot be: told at once, and with a way out that is there."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.batch.opening import make_strategy
from annotate.config.settings import Settings
from annotate.errors import ConfigError, ModelError, UnknownName
from tests.support.dimensions import SENTIMENT
from tests.support.pools import EMOTION, make_pool


@pytest.mark.parametrize("option", ["early", "regression", "classification"])
def test_the_default_cannot_stand_on_itself(option):
    with pytest.raises(ConfigError, match="auto cannot use itself") as error:
        make_strategy("auto", {"auto": {option: "auto"}})
    assert "[batch.options.auto]" in error.value.hint


def test_who_needs_two_modalities_names_the_setting_that_adds_one():
    whole = make_pool(6, dimensions=(SENTIMENT,))
    task_id = whole.asked()[0]
    pool = replace(
        whole, predictions={task_id: whole.predictions[task_id]}, missing={task_id: whole.missing[task_id]}
    )
    with pytest.raises(ModelError) as error:
        make_strategy("modality-conflict").select(pool, 2, np.random.default_rng(0))
    assert "protocol.passes" in error.value.hint
    assert "passes" in Settings.model_fields["protocol"].annotation.model_fields


@pytest.mark.parametrize("name", ["power", "softrank", "cluster-margin", "ranked-batch", "density-weighted"])
def test_a_strategy_that_another_stands_on_keeps_its_own_options(name):
    options = {"entropy": {"combine": "max"}}
    assert make_strategy(f"{name}:entropy", options).scored.options.combine == "max"
    assert make_strategy(f"{name}:margin", options).scored.options.combine == "mean"
    with pytest.raises(ConfigError, match="'entropy' has no option 'comb'"):
        make_strategy(f"{name}:entropy", {"entropy": {"comb": "max"}})


def test_the_parts_of_the_default_keep_their_own_options():
    pool = make_pool(400, dimensions=(EMOTION,))
    far = make_strategy("auto", {"auto": {"early": "probcover"}, "probcover": {"purity": 0.5}})
    near = make_strategy("auto", {"auto": {"early": "probcover"}, "probcover": {"purity": 0.99}})
    picks = [set(s.select(pool, 9, np.random.default_rng(0)).indices.tolist()) for s in (far, near)]
    assert picks[0] != picks[1]
    with pytest.raises(ConfigError, match="'power' has no option 'sharp'"):
        make_strategy("auto", {"power": {"sharp": 2.0}})


def test_a_name_in_capitals_is_nearly_right():
    with pytest.raises(UnknownName) as error:
        make_strategy("BALD")
    assert error.value.hint == "did you mean 'bald'?"
