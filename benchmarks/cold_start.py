"""How well the first batch is chosen while nothing is labelled: score of a linear model trained on it alone.

    python -m benchmarks.cold_start --data DIR [--quick] [--json FILE]

DIR (or ANNOTATE_DATA) may hold, each in its folder: ravdess_au_mfcc (RAVDESS, eight emotions, held-out
actors), pom (POM, 17 scores, held-out videos), youtube_opinion, and as text alone emotiontalk_labels,
meld_text, emobank_ratings (these three need pyarrow). Without data: generated clusters of very different
size. Every strategy gets the same pool, the same test set and the same model; `gain` is the mean
difference to a uniform draw with its 95 % bootstrap interval. The width of herding's kernel was fixed
before meld and emobank were looked at.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.batch.opening import make_strategy
from annotate.config.sections import BatchSettings
from annotate.corpus.embeddings import embed
from annotate.registry import STRATEGIES
from annotate.types import LabeledSet, Pool
from benchmarks._bars import Bars, arguments

if TYPE_CHECKING:
    import pandas as pd

BAR = -0.02
"""The lower bound that the gain of the default may have on any one set."""
TEXTS = 2000
"""Utterances taken of a larger set of texts."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Corpus:
    """A labelled set: modalities (n, dim), targets, and groups that stay together."""

    name: str
    modalities: list[Array]
    target: NDArray[np.generic]
    """(n,) classes, or (n, targets) numbers."""
    groups: NDArray[np.generic]


def ravdess(folder: Path) -> Corpus:
    import pandas as pd

    clips, arrays = pd.read_csv(folder / "clips.csv"), np.load(folder / "features.npz")
    return Corpus(
        "ravdess", [arrays["vision"], arrays["audio"]], clips.emotion.to_numpy(str), clips.speaker.to_numpy()
    )


def pom(folder: Path) -> Corpus:
    arrays = np.load(folder / "features.npz")
    means = [arrays["audio"].mean(1), arrays["vision"].mean(1)]
    return Corpus("pom", means, arrays["label"], np.arange(len(arrays["label"])))


def youtube(folder: Path) -> Corpus:
    arrays = np.load(folder / "features.npz")
    means = [arrays["audio"].mean(1), arrays["vision"].mean(1)]
    target = arrays["label"].argmax(1).astype(str)
    return Corpus("youtube", means, target, np.arange(len(target)))


def words(texts: "pd.Series[str]") -> Array:
    """(n, 128) from the characters of a text, good for Chinese and English alike."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    counts = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=3).fit_transform(texts.fillna(""))
    return TruncatedSVD(128, random_state=0).fit_transform(counts)


def emotiontalk(folder: Path) -> Corpus:
    import pandas as pd

    rows = pd.read_parquet(folder / "utterances.parquet")
    target = rows[["label_M"]].to_numpy(float)
    return Corpus("emotiontalk", [words(rows.text)], target, rows.dialogue.to_numpy(str))


def meld(folder: Path) -> Corpus:
    import pandas as pd

    rows = pd.read_parquet(folder / "utterances.parquet").sample(TEXTS, random_state=0)
    target, groups = rows.sentiment.to_numpy(str), rows.dialogue_id.to_numpy(str)
    return Corpus("meld", [words(rows.utterance)], target, groups)


def emobank(folder: Path) -> Corpus:
    import pandas as pd

    rows = pd.read_parquet(folder / "sentences.parquet").sample(TEXTS, random_state=0)
    target = rows[["V", "A", "D"]].to_numpy(float)
    return Corpus("emobank", [words(rows.text)], target, rows.document.to_numpy(str))


def generated(seed: int = 0) -> Corpus:
    """Eight classes whose clusters differ tenfold in size, and one sample in twenty far from all of them."""
    rng = np.random.default_rng(seed)
    sizes = np.array([300, 200, 120, 80, 60, 50, 40, 30])
    target = np.repeat(np.arange(len(sizes)), sizes)
    points = rng.normal(0, 2.0, (len(sizes), 24))[target] + rng.normal(0, 1.5, (len(target), 24))
    odd = rng.random(len(target)) < 0.05
    points[odd] = rng.normal(0, 8, (odd.sum(), 24))
    return Corpus("generated", [points], target.astype(str), np.arange(len(target)))


READERS: dict[str, Callable[[Path], Corpus]] = {
    "ravdess_au_mfcc": ravdess,
    "pom": pom,
    "youtube_opinion": youtube,
    "emotiontalk_labels": emotiontalk,
    "meld_text": meld,
    "emobank_ratings": emobank,
}


def corpora(data: Path | None) -> Iterator[Corpus]:
    """What `data` holds; generated data when there is none."""
    found = False
    for name, read in READERS.items():
        if data and (data / name).is_dir():
            try:
                yield read(data / name)
                found = True
            except ImportError as error:
                print(f"{name}: left out, {error.name or 'pyarrow'} is not installed", file=sys.stderr)
    if not found:
        yield generated()


def divide(corpus: Corpus, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the pool and of the test set; about 30 % of the groups are held out."""
    groups = rng.permutation(np.unique(corpus.groups))
    held = np.isin(corpus.groups, groups[: max(1, round(0.3 * len(groups)))])
    return np.flatnonzero(~held), np.flatnonzero(held)


def pool_of(embeddings: NDArray[np.float32]) -> Pool:
    ids = np.array([f"{i:08d}" for i in range(len(embeddings))])
    return Pool(ids, {}, {}, embeddings, LabeledSet(embeddings[:0]))


def score(corpus: Corpus, train: NDArray[np.intp], test: NDArray[np.intp], pool: NDArray[np.intp]) -> float:
    """Accuracy of a logistic model, or mean Pearson correlation of a ridge model over the targets."""
    from sklearn.linear_model import LogisticRegression, Ridge

    features = np.concatenate(corpus.modalities, axis=1)
    spread = features[pool].std(0)
    features = (features - features[pool].mean(0)) / np.where(spread > 0, spread, 1)
    if corpus.target.dtype.kind == "U":
        if len(set(corpus.target[train])) < 2:
            return float(np.mean(corpus.target[test] == corpus.target[train[0]]))
        model = LogisticRegression(C=0.1, max_iter=2000).fit(features[train], corpus.target[train])
        return float(np.mean(model.predict(features[test]) == corpus.target[test]))
    target = np.asarray(corpus.target, dtype=float)
    guess = Ridge(100.0).fit(features[train], target[train]).predict(features[test])
    guess = guess.reshape(len(test), -1)
    return float(np.mean([correlation(guess[:, i], target[test, i]) for i in range(target.shape[1])]))


def correlation(first: Array, second: Array) -> float:
    return 0.0 if first.std() == 0 or second.std() == 0 else float(np.corrcoef(first, second)[0, 1])


def measure(corpus: Corpus, strategy: str, k: int, seed: int) -> float:
    pool, test = divide(corpus, np.random.default_rng([seed, 1]))
    embeddings = embed([m[pool].astype(np.float64) for m in corpus.modalities])
    chosen = make_strategy(strategy).select(pool_of(embeddings), k, np.random.default_rng([seed, 2]))
    return score(corpus, pool[chosen.indices], test, pool)


def interval(gains: Array) -> tuple[float, float]:
    """95 % of the bootstrap means."""
    rng = np.random.default_rng(0)
    means = gains[rng.integers(0, len(gains), (4000, len(gains)))].mean(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def compare(corpus: Corpus, k: int, seeds: int, names: list[str]) -> dict[str, dict[str, float]]:
    """By strategy: score, gain over uniform, and its interval; one line of the table each."""
    base = np.array([measure(corpus, "uniform", k, seed) for seed in range(seeds)])
    found = {}
    for name in names:
        got = np.array([measure(corpus, name, k, seed) for seed in range(seeds)])
        gain, (low, high) = float((got - base).mean()), interval(got - base)
        line = f"{corpus.name:<12} {k:>3} {name:<10} {got.mean():>6.3f} {base.mean():>7.3f}"
        print(f"{line} {gain:>+7.3f}  [{low:+.3f}, {high:+.3f}]", flush=True)
        found[name] = {"score": float(got.mean()), "gain": gain, "low": low, "high": high}
    return found


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=0, help="0: 100, or 40 with --quick")
    options = parser.parse_args()
    seeds = options.seeds or (40 if options.quick else 100)
    bars, default = Bars(), BatchSettings().cold_start
    names = [n for n in STRATEGIES.names() if not make_strategy(n).needs and n != "uniform"]
    print(f"{'set':<12} {'k':>3} {'strategy':<10} {'score':>6} {'uniform':>7} {'gain':>7}  95 % interval")
    lows, gains = [], []
    for corpus in corpora(options.data):
        for k in (20,) if options.quick else (20, 50):
            found = compare(corpus, k, seeds, names)
            bars.figures[f"{corpus.name}.{k}"] = found
            gains.append(found[default]["gain"])
            lows.append(found[default]["low"])
    bars.bar("cold_start_mean_gain", float(np.mean(gains)), ">=", 0.0)
    bars.bar("cold_start_worst_low", min(lows), ">=", BAR)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
