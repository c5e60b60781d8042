"""Options of a sharing are chosen on samples that nothing was learned from, or not at all."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.prepared import prepare
from annotate.learning.search import AGAIN, SHARE, search
from annotate.types import Modality
from benchmarks._generated import Plan, generate

QUICK = ModelConfig(hidden=8, members=1, epochs=4, patience=4, batch_size=32, learning_rate=1e-2, dropout=0.0)
HIERARCHICAL = replace(QUICK, sharing="hierarchical", options={"hierarchical": {"layers": 2}})
CASCADE = replace(QUICK, sharing="cascade")
PLAN = Plan(samples=80, tasks=("sentiment.T", "sentiment.M"), dims={Modality.TEXT: 4})


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@cache
def corpus():
    return generate(PLAN, np.random.default_rng(0))


def prepared(config, train=60, valid=20):
    ids = corpus().ids()
    return prepare(corpus().training_set(ids[:train], ids[60 : 60 + valid]), config, "cpu")


@pytest.mark.parametrize("config", [HIERARCHICAL, CASCADE], ids=lambda r: r.sharing)
def test_the_candidate_with_the_lowest_valid_loss_is_taken_and_the_rest_is_told(config):
    chosen, result = search(prepared(config), seed=0)
    losses = [tried.loss for tried in result.tried]
    assert losses == sorted(losses)
    assert result.chosen == result.tried[0].options
    assert {**chosen.options_for(config.sharing), **result.chosen} == dict(chosen.options_for(config.sharing))
    assert "20 valid samples" in result.sentence()
    assert f"among {len(losses)}" in result.sentence()
    assert search(prepared(config), seed=0) == (chosen, result)


def test_candidates_that_train_side_by_side_lose_what_each_loses_among_others():
    assert AGAIN > 1
    fewer = replace(HIERARCHICAL, options={"hierarchical": {"layers": 2, "T": 1}})
    three, two = (search(prepared(config), seed=0)[1].tried for config in (HIERARCHICAL, fewer))
    assert (len(three), len(two)) == (3, 2)
    for tried in two:
        [same] = [t for t in three if t.options == {"T": 1, **tried.options}]
        assert same.loss == pytest.approx(tried.loss, rel=1e-3)


def test_whole_groups_of_train_judge_where_valid_is_too_small():
    _, found = search(prepared(HIERARCHICAL, valid=9), seed=0)
    assert "train samples held out" in found.judged_on
    aside = int(found.judged_on.split()[0])
    groups = np.unique(corpus().groups[:60], return_counts=True)[1]
    assert SHARE * 60 <= aside < 60
    assert aside % int(groups[0]) == 0, "no group is divided"


def test_the_first_is_taken_where_nobody_can_judge():
    chosen, result = search(prepared(CASCADE, train=12, valid=0), seed=0)
    assert result.tried == ()
    assert chosen.options_for("cascade")["order"] == ("T", "M")
    assert "by default: too few labelled samples" in result.sentence()


def test_nothing_is_searched_where_all_is_said():
    said = replace(CASCADE, options={"cascade": {"order": ("M", "T")}})
    before = prepared(said)
    assert search(before, seed=0) == (said, None)
    assert search(prepared(QUICK), seed=0) == (QUICK, None)


def test_the_model_is_trained_with_what_was_chosen_and_tells_it():
    ids = corpus().ids()
    made = fit_ensemble(corpus().training_set(ids[:60], ids[60:]), HIERARCHICAL, seed=0, device="cpu")
    assert made.search is not None
    assert made.notes[0] == made.search.sentence()
    levels = made.search.chosen
    taps = made.members[0]["sharing.taps"]  # (modalities, layers), one 1 in a row
    order = [m.value for m in Modality]
    for key, level in levels.items():
        assert int(taps[order.index(key)].argmax()) + 1 == level
