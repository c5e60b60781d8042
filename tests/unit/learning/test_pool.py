"""A pool may be of any size: its features pass through in parts, and the parts change no answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from annotate.learning.batches import CHUNK
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.predict import predict
from tests.contracts.test_part_contract import DIMS, SMALL, TASKS, labelled


@pytest.fixture(scope="module")
def checkpoint():
    torch.set_num_threads(1)
    return fit_ensemble(labelled(), replace(SMALL, epochs=1), seed=0, device="cpu")


def test_features_are_read_in_parts_and_each_answer_stands_in_its_place(checkpoint):
    rng = np.random.default_rng(0)
    ids = [f"{i:06d}" for i in range(2 * CHUNK + 5)]
    frames = {m: rng.normal(size=(len(ids), 1, d)).astype(np.float32) for m, d in DIMS.items()}
    asked = []

    def read(modality, wanted):
        asked.append(len(wanted))
        return [frames[modality][int(i)] for i in wanted]

    output = predict(checkpoint, read, ids)
    whole, fused = output.predictions, output.embeddings
    assert max(asked) <= CHUNK
    some = ids[CHUNK - 3 : CHUNK + 3]
    output = predict(checkpoint, read, some)
    part, fused_of_part = output.predictions, output.embeddings
    rows = [ids.index(i) for i in some]
    assert np.allclose(fused[rows], fused_of_part, atol=1e-5)
    for task in TASKS:
        for name in ("members", "mean", "epistemic", "aleatoric"):
            found = getattr(whole[task.id].of(rows), name)
            assert np.allclose(found, getattr(part[task.id], name), atol=1e-4), (task.id, name)


def test_an_empty_pool_has_no_answers(checkpoint):
    output = predict(checkpoint, lambda modality, wanted: [], [])
    said, fused = output.predictions, output.embeddings
    assert fused.shape == (0, SMALL.hidden)
    assert all(said[task.id].members.shape[1] == 0 for task in TASKS)
