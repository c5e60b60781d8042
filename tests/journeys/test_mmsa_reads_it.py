"""The feature file is read by MMSA's own loader, in a process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from annotate.registry import EXPORTERS
from annotate.types import Modality, Split, Task
from tests.conftest import ROOT
from tests.support.datasets import SENTIMENT, TASKS, make_dataset
from tests.support.needs import cannot

REQUIREMENTS = ROOT / "tests" / "mmsa" / "requirements.txt"
READER = ROOT / "tests" / "mmsa" / "read.py"
COUNTS = {Split.TRAIN: 6, Split.VALID: 2, Split.TEST: 3}


@pytest.fixture(scope="module")
def mmsa() -> Path:
    """A folder outside our environment that holds MMSA and what it needs beside ours, kept between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "annotate"
    folder = cache / "tests" / "mmsa-2.2.1-easydict-1.14"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (folder / "MMSA" / "data_loader.py").is_file():
            return folder
        partial = folder.with_suffix(".part")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*command, "--target", partial, "-r", REQUIREMENTS], capture_output=True, text=True, check=False
        )
        if done.returncode:
            cannot(f"pip cannot fetch MMSA: {done.stderr.strip().splitlines()[-1]}")
        partial.rename(folder)
    return folder


def test_the_lines_of_the_docs_train_a_model_of_mmsa_on_the_file_also_without_cuda(
    mmsa: Path, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "MMSA_run" in c)
    # One seed in place of five, and nothing in the home folder of whoever runs the tests.
    code = code.replace("custom_feature=", "seeds=[1], num_workers=0, custom_feature=")
    (tmp_path / "dataset").mkdir()
    EXPORTERS.get("mmsa")().write(make_dataset(tmp_path / "media", COUNTS, TASKS), tmp_path / "dataset")
    outside = {"PYTHONPATH": str(mmsa), "HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**os.environ, **outside}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "MMSA" / "results" / "normal" / "sims.csv").is_file()


def read_with_mmsa(mmsa: Path, path: Path, corpus: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, READER, path, corpus],
        env={**os.environ, "PYTHONPATH": str(mmsa)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("corpus", "tasks"), [("sims", TASKS), ("mosi", (Task(SENTIMENT, Modality.MULTIMODAL),))]
)
def test_mmsa_and_pandas_read_the_file_we_wrote(
    corpus: str, tasks: Sequence[Task], mmsa: Path, tmp_path: Path
) -> None:
    dataset = make_dataset(tmp_path / "media", COUNTS, tuple(tasks))
    (tmp_path / "out").mkdir()
    path = EXPORTERS.get("mmsa")().write(dataset, tmp_path / "out")[0]
    found = read_with_mmsa(mmsa, path, corpus)
    for split, n in COUNTS.items():
        rows = [row for row in dataset.rows if row.split is split]
        part = found[split.value]
        assert part["n"] == part["batched"] == part["pandas"] == n
        assert part["ids"] == [f"{row.video_id}$_${row.clip_id}" for row in rows]
        for key in [task.modality.value for task in tasks]:
            told = [row.labels[f"sentiment.{key}"].value for row in rows]
            np.testing.assert_array_equal(np.float32(part["labels"][key]), np.float32(told))
        for word, modality in (("audio", Modality.AUDIO), ("vision", Modality.VISION)):
            frames = [len(dataset.features[modality](row.sample_id)) for row in rows]
            assert part[f"{word}_lengths"] == frames
        assert part["dims"] == [4, 3, 2]
        assert part["finite"]
