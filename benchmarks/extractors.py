"""Whether the offline extractors carry anything: a linear model against the constant, on held-out people.

    python -m benchmarks.extractors --data DIR [--quick] [--json FILE]

DIR (or ANNOTATE_DATA) holds `emotiontalk_labels` (Mandarin; github.com/flageval-baai/EmotionTalk),
`meld_text` (English; github.com/declare-lab/MELD) and `emobank_ratings` (English;
github.com/JULIELab/EmoBank) as parquet tables; reading them needs pyarrow. `skill` is 1 - MSE / MSE of the
mean of the training rows, with the lower 95 % bound of a bootstrap over dialogues, speakers or documents.
The size of the hash and the length of its n-grams were chosen on rows that are not judged here: group G00013
of EmotionTalk, and the dev and test rows of MELD and EmoBank.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.registry import EXTRACTORS
from annotate.types import SampleMedia, SampleSource
from benchmarks._bars import Bars, arguments

Array = NDArray[np.float64]
Keys = NDArray[np.generic]
FOLDS = 5
QUICK_ROWS = 3000
PENALTIES = 10.0 ** np.arange(1, 7)


@dataclass(frozen=True)
class Corpus:
    """Sentences with a value; `groups` are never divided between training and judging."""

    name: str
    texts: list[str]
    target: Array
    groups: Keys
    blocks: Keys
    """What the bootstrap draws: rows of one block depend on each other."""
    judged: NDArray[np.bool_]


def emotiontalk(folder: Path) -> Corpus:
    import pandas as pd

    rows = pd.read_parquet(folder / "utterances.parquet")
    return Corpus(
        "emotiontalk", rows.text.fillna("").tolist(), rows.label_M.to_numpy(float),
        rows.speaker.to_numpy(str), rows.dialogue.to_numpy(str), (rows.group != "G00013").to_numpy(),
    )  # fmt: skip


def meld(folder: Path) -> Corpus:
    import pandas as pd

    rows = pd.read_parquet(folder / "utterances.parquet").query("split == 'train'")
    target = rows.sentiment.map({"negative": -1.0, "neutral": 0.0, "positive": 1.0}).to_numpy(float)
    speakers = rows.speaker.to_numpy(str)
    return Corpus("meld", rows.utterance.tolist(), target, speakers, speakers, np.ones(len(rows), bool))


def emobank(folder: Path) -> Corpus:
    import pandas as pd

    rows = (
        pd.read_parquet(folder / "sentences.parquet").query("split == 'train'").dropna(subset=["text", "V"])
    )
    documents = rows.document.to_numpy(str)
    return Corpus(
        "emobank", rows.text.tolist(), rows.V.to_numpy(float), documents, documents, np.ones(len(rows), bool)
    )


READERS: dict[str, Callable[[Path], Corpus]] = {
    "emotiontalk_labels": emotiontalk,
    "meld_text": meld,
    "emobank_ratings": emobank,
}


def features(texts: list[str]) -> Array:
    """(rows, dim) of `char-hash`."""
    extractor = EXTRACTORS.get("char-hash")()
    media = SampleMedia.under(Path(), "0" * 16)
    return np.concatenate([extractor.extract(SampleSource("0" * 16, media, text)) for text in texts]).astype(
        float
    )


def folds(groups: Keys, judged: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """(train, test) positions: every judged group is held out once, the few of them one by one."""
    names = np.random.default_rng(0).permutation(np.unique(groups[judged]))
    for part in np.array_split(names, min(FOLDS, len(names))):
        held = np.isin(groups, part)
        yield np.flatnonzero(~held), np.flatnonzero(held & judged)


def ridge(x: Array, y: Array, penalty: float) -> Array:
    """Weights of standardised columns; the mean of `y` is added by the caller."""
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - y.mean()))


def predict(x: Array, y: Array, groups: Keys, test: Array) -> Array:
    """Ridge regression; its penalty is the best on a quarter of the training groups."""
    spread = x.std(0)
    scale = np.where(spread > 0, spread, 1)
    centre = x.mean(0)
    x, test = (x - centre) / scale, (test - centre) / scale
    names = np.random.default_rng(1).permutation(np.unique(groups))
    inner = np.isin(groups, names[: max(1, len(names) // 4)])
    inside, mean = x[~inner], y[~inner].mean()
    gram, moment = inside.T @ inside, inside.T @ (y[~inner] - mean)
    errors = [
        np.mean((x[inner] @ np.linalg.solve(gram + p * np.eye(len(gram)), moment) + mean - y[inner]) ** 2)
        for p in PENALTIES
    ]
    return test @ ridge(x, y, float(PENALTIES[np.argmin(errors)])) + y.mean()


def judge(corpus: Corpus) -> dict[str, float]:
    """Skill on the held-out groups, its lower 95 % bound, and Pearson's correlation."""
    x, y = features(corpus.texts), corpus.target
    guess, constant = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for train, test in folds(corpus.groups, corpus.judged):
        guess[test] = predict(x[train], y[train], corpus.groups[train], x[test])
        constant[test] = y[train].mean()
    rows = ~np.isnan(guess)
    ours, theirs = (guess[rows] - y[rows]) ** 2, (constant[rows] - y[rows]) ** 2
    return {
        "rows": int(rows.sum()),
        "skill": 1 - ours.sum() / theirs.sum(),
        "low": bootstrap_low(ours, theirs, corpus.blocks[rows]),
        "r": float(np.corrcoef(guess[rows], y[rows])[0, 1]),
    }


def bootstrap_low(ours: Array, theirs: Array, blocks: Keys) -> float:
    """2.5 % quantile of the skill when whole blocks are drawn again."""
    _, index = np.unique(blocks, return_inverse=True)
    sums = np.stack([np.bincount(index, ours), np.bincount(index, theirs)], axis=1)
    rng = np.random.default_rng(2)
    drawn = sums[rng.integers(0, len(sums), (4000, len(sums)))].sum(axis=1)
    return float(np.quantile(1 - drawn[:, 0] / drawn[:, 1], 0.025))


def smaller(corpus: Corpus) -> Corpus:
    """About `QUICK_ROWS` of the rows, drawn evenly."""
    keep = np.sort(np.random.default_rng(3).permutation(len(corpus.texts))[:QUICK_ROWS])
    return Corpus(
        corpus.name, [corpus.texts[i] for i in keep], corpus.target[keep], corpus.groups[keep],
        corpus.blocks[keep], corpus.judged[keep],
    )  # fmt: skip


def main() -> int:
    options, bars = arguments(__doc__ or "").parse_args(), Bars()
    print(f"{'set':<12} {'extractor':<10} {'rows':>6} {'skill':>7} {'low 95 %':>9} {'r':>6}")
    for name, read in READERS.items():
        bar = f"extractors.char-hash.{read.__name__}"
        folder = options.data / name if options.data else None
        if folder is None or not folder.is_dir():
            bars.long(bar, f"needs --data with {name}; where to get it stands in this file")
            continue
        try:
            corpus = read(folder)
        except ImportError:
            bars.long(bar, "needs pyarrow to read the set")
            continue
        found = judge(smaller(corpus) if options.quick else corpus)
        figures = f"{found['rows']:>6} {found['skill']:>7.3f} {found['low']:>9.3f} {found['r']:>6.3f}"
        print(f"{corpus.name:<12} {'char-hash':<10} {figures}")
        bars.figures[corpus.name] = found
        bars.bar(bar, found["low"], ">=", 0.0)
    for name in ("voice-stats", "face-motion"):
        print(f"{name}: unproven (no public set with both media and labels was at hand)")
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
