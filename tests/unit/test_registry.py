"""Promises of the registry to plug-ins of other distributions."""

import numpy as np
import pytest

from annotate.batch.choosing import fitting
from annotate.batch.opening import make_strategy, settings_of
from annotate.learning.encoders._tokens import require_readable
from annotate.registry import CHECKS, ENCODERS, EXTRACTORS, HEADS, STRATEGIES
from annotate.types import Kind, Modality, Selection


@pytest.fixture
def register(monkeypatch):
    """Registers a class for the length of one test."""

    def add(plugins, name, cls):
        plugins.names()
        monkeypatch.setattr(plugins, "_classes", {**plugins._classes})
        return plugins.register(name)(cls)

    return add


def test_a_strategy_that_declares_only_what_it_must_is_usable(register):
    class Bare:
        """Takes the first."""

        needs = frozenset()

        def select(self, pool, k, rng):
            return Selection(np.arange(k), np.zeros(k))

    register(STRATEGIES, "bare", Bare)
    strategy = make_strategy("bare")
    assert strategy.kinds == frozenset(Kind)
    assert settings_of(strategy) == {"options": {}, "on": {}}
    assert "bare" in fitting({Kind.MULTILABEL})


def test_extractors_and_checks_get_the_defaults_of_their_protocol(register):
    class Extractor:
        """Measures nothing."""

        modality, dim, version = Modality.TEXT, 1, "1"

    class Check:
        """Measures nothing."""

        unit = low = high = ""

    register(EXTRACTORS, "bare", Extractor)
    register(CHECKS, "bare", Check)
    assert (EXTRACTORS.get("bare").tokens, EXTRACTORS.get("bare").made_elsewhere) == (False, False)
    assert not CHECKS.get("bare").of_text
    require_readable(ENCODERS.get("mean-pool"), Modality.TEXT, "bare@hash")


def test_a_declared_value_is_kept(register):
    class Head:
        """Has options of its own."""

        Options = dict

    assert register(HEADS, "bare", Head).Options is dict
