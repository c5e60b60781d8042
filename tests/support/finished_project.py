"""A cheap project that has gone once round the loop: samples, labels, features and a trained round."""

from pathlib import Path

import numpy as np

from annotate.project import Project
from annotate.steps.extract import extract
from annotate.steps.import_ import import_table
from annotate.steps.init import init
from annotate.steps.train import train

SETTINGS = {
    "FEATURES__AUDIO": "imported", "FEATURES__VISION": "imported",
    "TRAIN__HIDDEN": "4", "TRAIN__MEMBERS": "1", "TRAIN__EPOCHS": "1", "TRAIN__DEVICE": "cpu",
}  # fmt: skip
"""Environment variables, without their prefix, under which this project is made and used."""

LABELLED, SAMPLES = 20, 24


def make_finished_project(folder: Path) -> Project:
    """Make a project of imported samples in `folder`; the last samples have no labels yet.

    `SETTINGS` have to be in the environment.
    """
    init(folder, preset="ch-sims")
    project = Project.open(folder)
    rng = np.random.default_rng(0)
    scores = [rng.choice([-1.0, 0.0, 1.0]) if i < LABELLED else "" for i in range(SAMPLES)]
    rows = [f"s{i},speaker{i % 12},word {i},{score}" for i, score in enumerate(scores)]
    (folder / "corpus.csv").write_text("\n".join(["id,who,words,y", *rows]))
    arrays = {name: rng.normal(size=(SAMPLES, 3, 4)).astype(np.float32) for name in ("audio", "vision")}
    np.savez(folder / "corpus.npz", ids=np.array([f"s{i}" for i in range(SAMPLES)]), **arrays)
    import_table(
        project, folder / "corpus.csv", features=[folder / "corpus.npz"],
        flags={
            "id": "id", "speaker": "who", "text": "words", "label": [f"sentiment.{m}=y" for m in "TAVM"],
            "feature": ["audio=audio", "vision=vision"], "feature_id": "ids",
        },
    )  # fmt: skip
    extract(project)
    train(project)
    return project
