"""Whether the default model is as good as single-task training and scikit-learn, and what mechanisms do.

    python -m benchmarks.models [--data DIR] [--quick] [--only NAME] [--set NAME] [--folds N] [--keep FOLDER]

NAME: `quality` (real sets below DIR or ANNOTATE_DATA; needs pyarrow), or one of the families of mechanisms
(generated data). Quality: 5 seeds; 3 folds that divide no group, N of which each seed holds out in turn; 50,
200 and 500 labels of which a fifth is valid; points are 100 x accuracy or Pearson's r, mean over the tasks;
the interval draws held-out groups with replacement. Finished cells are kept below FOLDER, so a run can be
stopped and resumed, and sets be measured by several processes at a time. N = 1 takes an hour of one core.
The default was chosen on seeds from 100 on.
"""

import importlib
import pkgutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch

import benchmarks
from annotate.config.baselines import PRESETS
from annotate.config.sections import TrainSettings
from annotate.learning.model_config import ModelConfig
from benchmarks import _quality as quality
from benchmarks import _sets as sets
from benchmarks._bars import Bars, arguments
from benchmarks._sets import Corpus

SIZES = (50, 200, 500)
JUDGED_SEEDS = range(5)
MOST = 2500
"""Rows of a set that are looked at, in whole dialogues or documents."""
WORST = -0.5
"""Points by which the default may be behind, at the lower end of the interval."""
FAMILIES = {
    module.name.removeprefix("_mechanisms_"): module.name
    for module in pkgutil.iter_modules(benchmarks.__path__)
    if module.name.startswith("_mechanisms_")
}
DEFAULT = ModelConfig()
METHODS: dict[str, ModelConfig | quality.Method] = {
    "default": DEFAULT,
    "single-task": replace(DEFAULT, sharing="none"),
    **{
        name: ModelConfig(**TrainSettings.model_validate({"preset": name}).network_options())
        for name in PRESETS
    },
    "linear": quality.linear,
    "boosting": quality.boosting,
}


def corpora(folder: Path) -> Iterator[Corpus]:
    """The real sets, each with the tasks whose modality has features; at most six tasks."""
    readers: dict[str, Callable[[Path], Corpus]] = {
        "ravdess_au_mfcc": sets.ravdess,
        "emotiontalk_labels": lambda f: sets.emotiontalk(f, by="dialogue", most=MOST),
        "meld_text": lambda f: sets.meld_audio(f, most=MOST),
        "emobank_ratings": lambda f: sets.emobank(f, most=MOST),
        "pom": sets.pom,
        "youtube_opinion": sets.youtube_opinion,
    }
    for name, read in readers.items():
        if (folder / name).is_dir():
            found = read(folder / name)
            known = {"M", *(m.value for m in found.features)}
            yield replace(found, tasks=tuple(t for t in found.tasks if t.modality.value in known)[:6])


def measure_quality(bars: Bars, options: Namespace) -> None:
    """The default against each other method, pooled over sets, sizes, seeds and folds, and set by set."""
    keeper, quick = quality.Keeper(options.keep), options.quick
    found: dict[str, dict[str, quality.Sums]] = {name: {} for name in METHODS}
    for corpus in corpora(options.data):
        if options.set not in (None, corpus.name):
            continue
        sizes = [n for n in SIZES[: 1 if quick else None] if n <= 0.6 * len(corpus)]
        seeds = JUDGED_SEEDS[:1] if quick else JUDGED_SEEDS
        held = range(1 if quick else options.folds)
        folds = [(s, (s + k) % quality.FOLDS) for k in held for s in seeds]
        cells = [quality.Cell(corpus.name, n, s, f) for s, f in folds for n in sizes]
        here = {}
        for name, method in METHODS.items():
            here[name] = dict(quality.run_method(corpus, cells, keeper, name, method))
            found[name] |= here[name]
            print(f"{corpus.name:<18}{name:<14}{quality.score(here[name]):7.2f}", flush=True)
        report(bars, corpus.name, here, pooled=False)
    if options.set is None:
        report(bars, "pooled", found, pooled=True)


def report(bars: Bars, where: str, found: dict[str, dict[str, quality.Sums]], *, pooled: bool) -> None:
    """The default minus each other method; the bar is the lower end pooled, the upper end on a single set."""
    default = found["default"]
    for name, other in found.items():
        if name == "default":
            continue
        mean, low, high = quality.difference(default, other)
        print(f"{where:<18}default - {name:<14}{mean:6.2f} [{low:.2f}, {high:.2f}]", flush=True)
        bars.bar(f"{where}-default-against-{name}", low if pooled else high, ">=", WORST if pooled else 0)


def main() -> int:
    """Measure what was asked for, or everything."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=["quality", *FAMILIES], help="one part")
    parser.add_argument("--set", help="one real set, by its name in the output")
    parser.add_argument(
        "--folds", type=int, choices=range(1, quality.FOLDS + 1), default=quality.FOLDS, help="per seed"
    )
    kept = Path.home() / ".cache" / "annotate" / "benchmarks" / "models"
    parser.add_argument("--keep", type=Path, default=kept, help="where finished cells are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bars = Bars()
    for family, module in FAMILIES.items():
        if options.only in (None, family):
            importlib.import_module(f"benchmarks.{module}").run(bars, options.quick)
    if options.only in (None, "quality"):
        if options.data is None or find_spec("pyarrow") is None:
            bars.long("quality", "needs --data and pyarrow")
        else:
            measure_quality(bars, options)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
