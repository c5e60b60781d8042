"""Whether the presets named after MMSA's multi-task networks are as good as those, on one feature file.

A generated project is exported in MMSA's format; MMSA's own networks learn from that file through MMSA's
loader, and so do our presets, each as ONE network and not as the ensemble of five that a project gets. Five
seeds each, the same splits, the same cap on epochs, both stopped by valid. Scored is M on test: mean absolute
error and Pearson's r. A preset is short when its mean is worse than MMSA's by more than two standard errors
of the difference, sqrt(sd_ours^2 / n + sd_theirs^2 / n) over n seeds. The plan was chosen on seeds from 100.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from annotate.config.sections import TrainSettings
from annotate.errors import UsageError
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.types import Modality
from benchmarks._bars import Bars
from benchmarks._generated import Plan, generate
from benchmarks._presets_file import SHARES, export, read

Array = NDArray[np.float64]

PROJECT_SEED = 0
SEEDS, EPOCHS = 5, 60
QUICK_SEEDS, QUICK_EPOCHS = 2, 8
PRESETS = {"mlf-dnn": 256, "mtfn": 32, "mlmf": 256}
"""By preset, how wide an encoder of MMSA's network is at most: 256 is what it has. The product of MTFN would
have 139 million weights then, too many for a core; with 32 it has 2.3 million. Ours is not made narrower."""
GROUPS = sum(SHARES.values())
PLAN = Plan(
    samples=24 * GROUPS,
    groups=GROUPS,
    frames=(4, 4),
    dims={Modality.TEXT: 48, Modality.AUDIO: 33, Modality.VISION: 40},
    own_view=True,
    relatedness=0.7,
    directions=3,
    noise=0.5,
    feature_noise=1.0,
)
"""Every modality shows a part of what M depends on. As many frames in every sample, because MMSA's average
goes over the padding as well: that would count against it."""
ROOT = Path(__file__).parent.parent
WORST = 2.0
"""Standard errors."""


@dataclass(frozen=True)
class Score:
    """Of M on test, by seed."""

    mae: Array
    r: Array

    @classmethod
    def of(cls, said: Sequence[Array], labels: Array) -> "Score":
        """Of what the network of each seed says."""
        mae = [np.mean(np.abs(one - labels)) for one in said]
        return cls(np.array(mae), np.array([np.corrcoef(one, labels)[0, 1] for one in said]))


def run(bars: Bars, quick: bool) -> None:
    """Every bar; about four minutes, `quick` under 30 seconds and without `mtfn`."""
    try:
        mmsa = mmsa_folder()
    except UsageError as error:
        bars.long("presets", str(error))
        return
    seeds, epochs = (QUICK_SEEDS, QUICK_EPOCHS) if quick else (SEEDS, EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        file = export(generate(PLAN, np.random.default_rng([PROJECT_SEED, 7])), Path(folder))
        for name in PRESETS:
            if quick and name == "mtfn":
                bars.long(f"presets.{name}", "MMSA's network takes minutes")
            else:
                compare(bars, name, file, mmsa, seeds, epochs)


def compare(bars: Bars, name: str, file: Path, mmsa: Path, seeds: int, epochs: int) -> None:
    """One preset against its namesake."""
    content = pickle.loads(file.read_bytes())  # noqa: S301 - written by `export` just now
    test = content["test"]
    started = time.perf_counter()
    found = theirs(mmsa, name, file, seeds, epochs)
    between = time.perf_counter()
    own = ours(content, name, seeds, epochs)
    labels = test["regression_labels"].astype(float)
    score = {
        "MMSA": Score.of([np.array([one["said"][i] for i in test["id"]]) for one in found], labels),
        "ours": Score.of(own, labels),
    }
    seconds = {"MMSA": between - started, "ours": time.perf_counter() - between}
    for who, s in score.items():
        print(
            f"{name:<8} {who}: MAE {s.mae.mean():.4f} (sd {s.mae.std(ddof=1):.4f}), "
            f"r {s.r.mean():.4f} (sd {s.r.std(ddof=1):.4f}), {seeds} seeds, {seconds[who]:.0f} s",
            flush=True,
        )
    print(f"{name:<8} MMSA: best epochs {[one['epoch'] for one in found]}")
    if seeds < SEEDS:
        bars.long(f"presets.{name}", f"{seeds} seeds tell no spread")
        return
    bars.bar(f"presets.{name}.mae.behind", behind(score["ours"].mae, score["MMSA"].mae), "<=", WORST)
    bars.bar(f"presets.{name}.r.behind", behind(-score["ours"].r, -score["MMSA"].r), "<=", WORST)


def behind(own: Array, other: Array) -> float:
    """By how many standard errors of the difference our mean is larger."""
    error = np.sqrt(own.var(ddof=1) / len(own) + other.var(ddof=1) / len(other))
    return float((own.mean() - other.mean()) / error)


def theirs(mmsa: Path, name: str, file: Path, seeds: int, epochs: int) -> list[dict[str, Any]]:
    """By seed what MMSA's network says, with its best epoch."""
    script = Path(__file__).with_name("_presets_theirs.py")
    command = [sys.executable, str(script), str(file), name.replace("-", "_")]
    options = ["--seeds", str(seeds), "--epochs", str(epochs), "--widest", str(PRESETS[name])]
    done = subprocess.run(
        [*command, *options], env={**os.environ, "PYTHONPATH": str(mmsa), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return list(json.loads(done.stdout))


def ours(content: Mapping[str, Any], name: str, seeds: int, epochs: int) -> list[Array]:
    """By seed what our preset says of M on test, in the order of the file."""
    config = model_config_of(name, epochs)
    training_set, test = read(content)
    m = next(task.id for task in training_set.tasks if task.modality is Modality.MULTIMODAL)
    made = (fit_ensemble(training_set, config, seed=seed, device="cpu") for seed in range(seeds))
    return [predict(one, training_set.read, test).predictions[m].mean.astype(float) for one in made]


def model_config_of(name: str, epochs: int) -> ModelConfig:
    """The preset as it is, but one network, and no more epochs than the other has."""
    return ModelConfig(
        **TrainSettings.model_validate({"preset": name, "members": 1, "epochs": epochs}).network_options()
    )


def mmsa_folder() -> Path:
    """A folder that holds nothing but MMSA, kept between runs; the one that the tests read with.

    Raises `UsageError` when it is not there and cannot be fetched.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "annotate"
    folder = cache / "tests" / "mmsa-2.2.1"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (folder / "MMSA" / "data_loader.py").is_file():
            return folder
        partial = folder.with_suffix(".part")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        listed = ROOT / "tests" / "mmsa" / "requirements.txt"
        done = subprocess.run(
            [*command, "--target", partial, "-r", listed], capture_output=True, text=True, check=False
        )
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UsageError(f"not measured, pip cannot fetch MMSA: {why}", hint="connect to the internet")
        partial.rename(folder)
    return folder
