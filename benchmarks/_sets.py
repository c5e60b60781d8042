"""Labelled sets as the multi-task model reads them: the real ones below a data folder, one loader each.

The README beside each set says where it comes from and what may be done with it. parquet needs pyarrow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.types import UNIMODAL, Answer, Dimension, Kind, Label, Modality, Task

if TYPE_CHECKING:
    import pandas as pd

    from annotate.learning.batches import Origin
    from annotate.learning.prepared import TrainingSet

Rows = list[NDArray[np.float32]]
"""Per sample (frames, dim); no frame where the modality is missing."""
Labels = dict[tuple[str, str], Label]
"""By (sample id, task id)."""

UTTERANCE_US = 3_000_000
"""Between the starts of two utterances of which only the order is known."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """n labelled samples with one task or many. The id of a sample is its position."""

    name: str
    tasks: tuple[Task, ...]
    features: Mapping[Modality, Rows]
    labels: Mapping[tuple[str, str], Label]
    """By (sample id, task id); where nobody judged there is none."""
    groups: NDArray[np.str_]
    """(n,) what must not be on both sides of a fold: speaker, actor, dialogue, document."""
    videos: NDArray[np.str_]
    """(n,) those of one video are each other's neighbours. A video lies in one group."""
    starts: NDArray[np.int64]
    """(n,) microseconds from the video's start; where only the order is known, any that keep it."""
    truth: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """By task id: (n,) value on the scale, or index of the class, without any noise. Generated sets only."""

    def __len__(self) -> int:
        return len(self.groups)

    def ids(self) -> list[str]:
        """Every sample id, sorted."""
        return [sample_id(i) for i in range(len(self))]

    def task(self, task_id: str) -> Task:
        """Raises `KeyError` for a task that the set does not have."""
        return {t.id: t for t in self.tasks}[task_id]

    def read(self, modality: Modality, sample_ids: Sequence[str]) -> Rows:
        """Per sample (frames, dim), in the order asked."""
        return [self.features[modality][int(i)] for i in sample_ids]

    def origins(self, sample_ids: Sequence[str]) -> "list[Origin]":
        """Where each sample comes from, in the order asked."""
        from annotate.learning.batches import Origin

        at = [int(i) for i in sample_ids]
        return [Origin(str(self.videos[i]), int(self.starts[i]), str(self.groups[i])) for i in at]

    def labelled(self, sample_ids: Sequence[str], tasks: Sequence[Task] | None = None) -> list[str]:
        """Those with a label for at least one of the tasks, in the order given."""
        wanted = [t.id for t in (self.tasks if tasks is None else tasks)]
        return [i for i in sample_ids if any((i, task_id) in self.labels for task_id in wanted)]

    def training_set(
        self, train: Sequence[str], valid: Sequence[str], tasks: Sequence[Task] | None = None
    ) -> "TrainingSet":
        """What a model of `tasks` (default: all) is fitted to; samples without any label are left out."""
        from annotate.learning.prepared import TrainingSet

        chosen = self.tasks if tasks is None else tuple(tasks)
        return TrainingSet(
            chosen,
            sorted(self.labelled(train, chosen)),
            sorted(self.labelled(valid, chosen)),
            self.labels,
            self.read,
            {m: m.word for m in UNIMODAL if m in self.features},
            self.origins,
        )


def sample_id(row: int) -> str:
    """Of the sample at that position."""
    return f"{row:06d}"


def scale(name: str, values: Sequence[float], modality: Modality) -> Task:
    """A regression task whose raters choose among `values`, the lowest first."""
    return Task(Dimension(name, Kind.REGRESSION, tuple(Answer(float(v), f"{v:g}") for v in values)), modality)


def classes(name: str, values: Sequence[str], modality: Modality) -> Task:
    """A classification task among the different ones of `values`."""
    answers = tuple(Answer(v, v) for v in sorted(set(values)))
    return Task(Dimension(name, Kind.CLASSIFICATION, answers), modality)


def told(task: Task, values: Sequence[float | str], raters: int = 1) -> Labels:
    """The labels of one task when only the agreed value of each sample is known."""
    return {
        (sample_id(i), task.id): Label(sample_id(i), task.id, value, shares(task, value), raters)
        for i, value in enumerate(values)
    }


def shares(task: Task, value: float | str) -> dict[str, float]:
    """The narrowest distribution over the answers that has this mean; all on the class for a class."""
    if isinstance(value, str):
        return {value: 1.0}
    answers = task.dimension.answers
    steps = [float(a.value) for a in answers]
    right = int(np.clip(np.searchsorted(steps, value), 1, len(steps) - 1))
    part = float(np.clip((value - steps[right - 1]) / (steps[right] - steps[right - 1]), 0, 1))
    both = {answers[right - 1].alias: 1 - part, answers[right].alias: part}
    return {alias: share for alias, share in both.items() if share > 0}


def rows(array: NDArray[Any]) -> Rows:
    """(n, dim) -> one frame per sample."""
    return list(array.astype(np.float32)[:, None])


def sequences(array: NDArray[Any]) -> Rows:
    """(n, steps, dim) -> the steps of each sample that are not padding, which is zero; possibly none."""
    return [steps[steps.any(axis=1)] for steps in array.astype(np.float32)]


def hashed(texts: Sequence[str]) -> Rows:
    """Features of the `char-hash` extractor."""
    from annotate.registry import EXTRACTORS
    from annotate.types import SampleMedia, SampleSource

    extractor, media = EXTRACTORS.get("char-hash")(), SampleMedia.under(Path(), "00")
    return [extractor.extract(SampleSource("00", media, text)) for text in texts]


def at_most(units: NDArray[Any], most: int | None) -> NDArray[np.intp]:
    """Rows of whole units (videos, or single rows), always the same ones, until `most` rows are full."""
    if most is None or len(units) <= most:
        return np.arange(len(units))
    _, which, sizes = np.unique(units, return_inverse=True, return_counts=True)
    order = np.random.default_rng(0).permutation(len(sizes))
    chosen = order[np.cumsum(sizes[order]) <= most]
    return np.flatnonzero(np.isin(which, chosen))


def ravdess(folder: Path) -> Corpus:
    """RAVDESS: emotion (8) and intensity (2) of 720 clips by 12 actors; audio and vision, one row each."""
    import pandas as pd

    clips = pd.read_csv(folder / "clips.csv", dtype=str)
    arrays = np.load(folder / "features.npz", allow_pickle=False)
    features = {Modality.AUDIO: rows(arrays["audio"]), Modality.VISION: rows(arrays["vision"])}
    found = {name: clips[name].to_list() for name in ("emotion", "intensity")}
    tasks = tuple(classes(name, values, Modality.MULTIMODAL) for name, values in found.items())
    labels = _merged(told(task, found[task.dimension.name]) for task in tasks)
    actors, names = clips.speaker.to_numpy(str), clips.id.to_numpy(str)
    return Corpus("ravdess", tasks, features, labels, actors, names, _zeros(len(clips)))


def emotiontalk(folder: Path, by: str = "group", most: int | None = None) -> Corpus:
    """EmotionTalk: sentiment of all together, emotion (7) of text, audio, video and all; from text alone.

    `by` names the column of the groups: ``group`` (two pairs of speakers) or ``dialogue`` (112, whose
    speakers recur).
    """
    said = _parquet(folder / "utterances.parquet", "dialogue", most)
    whole = scale("sentiment", (-2, -1, 0, 1, 2), Modality.MULTIMODAL)
    every = [e for m in Modality for e in said[f"emotion_{m.value}"]]
    emotions = tuple(classes("emotion", every, m) for m in Modality)
    labels = told(whole, said.label_M.to_list(), raters=5)
    for task in emotions:
        labels |= told(task, said[f"emotion_{task.modality.value}"].to_list())
    return Corpus(
        "emotiontalk",
        (whole, *emotions),
        {Modality.TEXT: hashed(said.text.to_list())},
        labels,
        said[by].to_numpy(str),
        said.dialogue.to_numpy(str),
        said.utterance.to_numpy(np.int64) * UTTERANCE_US,
    )


def meld(folder: Path, most: int | None = None) -> Corpus:
    """MELD: sentiment (3) and emotion (7) of 13 708 utterances, from text; groups are dialogues."""
    return _meld("meld", _dialogues(folder, most), {})


def meld_audio(folder: Path, most: int | None = None) -> Corpus:
    """The same for the dev and test part (3 718), from text and audio."""
    arrays = np.load(folder / "audio_features_dev_test.npz", allow_pickle=False)
    at = {name: i for i, name in enumerate(arrays["id"].tolist())}
    said = _dialogues(folder, most, at.keys())
    audio = arrays["audio"][[at[name] for name in said.id]]
    return _meld("meld-audio", said, {Modality.AUDIO: rows(audio)})


def pom(folder: Path) -> Corpus:
    """POM: 17 unnamed scores of 903 reviews, from sequences of audio and vision (missing for 486).

    One score of column 9 lies below its scale and is set to its end.
    """
    arrays = np.load(folder / "features.npz", allow_pickle=False)
    tasks: list[Task] = []
    labels: Labels = {}
    for i, column in enumerate(arrays["label"].T):
        top = 5 if column.max() <= 5 else 7
        tasks.append(scale(f"pom{i + 1:02d}", range(1, top + 1), Modality.MULTIMODAL))
        labels |= told(tasks[-1], [float(v) for v in column.clip(1, top)], raters=3)
    features = {Modality.AUDIO: sequences(arrays["audio"]), Modality.VISION: sequences(arrays["vision"])}
    return _lone("pom", tuple(tasks), features, labels)


def emobank(folder: Path, most: int | None = None) -> Corpus:
    """EmoBank: valence, arousal, dominance of 10 062 sentences, from text; groups are documents.

    Distributions are those of the single ratings, about ten per sentence.
    """
    import pandas as pd

    found = pd.read_parquet(folder / "sentences.parquet")
    found = found.iloc[at_most(np.arange(len(found)), most)].reset_index(drop=True)
    ratings = pd.read_parquet(folder / "ratings.parquet")
    tasks: list[Task] = []
    labels: Labels = {}
    for column, name in (("V", "valence"), ("A", "arousal"), ("D", "dominance")):
        tasks.append(scale(name, range(1, 6), Modality.TEXT))
        labels |= _rated(tasks[-1], found, ratings, column)
    features = {Modality.TEXT: hashed(found.text.fillna("").to_list())}
    documents = found.document.to_numpy(str)
    # Ids end in the first and last character of the sentence; those of headlines do not: no order.
    starts = found.id.str.extract(r"_(\d+)_\d+$")[0].fillna(0).to_numpy(np.int64)
    return Corpus("emobank", tuple(tasks), features, labels, documents, documents, starts)


def youtube_opinion(folder: Path) -> Corpus:
    """YouTube opinions: 3 classes of 269 utterances, from sequences of all modalities.

    Text is missing for 173, audio and vision are empty for most: 126 samples have no modality at all, and
    are left in. Which utterances are of one video is not known.
    """
    arrays = np.load(folder / "features.npz", allow_pickle=False)
    words = np.array(["class1", "class2", "class3"])[arrays["label"].argmax(axis=1)].tolist()
    task = classes("opinion", words, Modality.MULTIMODAL)
    features = {m: sequences(arrays[m.word]) for m in UNIMODAL}
    return _lone("youtube-opinion", (task,), features, told(task, words))


LOADERS: Mapping[str, tuple[str, Callable[[Path], Corpus]]] = {
    "ravdess": ("ravdess_au_mfcc", ravdess),
    "emotiontalk": ("emotiontalk_labels", emotiontalk),
    "meld": ("meld_text", meld),
    "meld-audio": ("meld_text", meld_audio),
    "pom": ("pom", pom),
    "emobank": ("emobank_ratings", emobank),
    "youtube-opinion": ("youtube_opinion", youtube_opinion),
}
"""By name: its folder in the data folder, and what reads it."""


def _merged(parts: Iterator[Labels]) -> Labels:
    return {key: label for part in parts for key, label in part.items()}


def _zeros(n: int) -> NDArray[np.int64]:
    return np.zeros(n, np.int64)


def _lone(name: str, tasks: tuple[Task, ...], features: Mapping[Modality, Rows], labels: Labels) -> Corpus:
    """A set in which every sample is its own video and group."""
    n = len(next(iter(features.values())))
    each = np.array([sample_id(i) for i in range(n)])
    return Corpus(name, tasks, features, labels, each, each, _zeros(n))


def _parquet(path: Path, unit: str, most: int | None) -> "pd.DataFrame":
    import pandas as pd

    found = pd.read_parquet(path)
    return found.iloc[at_most(found[unit].to_numpy(str), most)].reset_index(drop=True)


def _dialogues(folder: Path, most: int | None, only: Any = None) -> "pd.DataFrame":
    """Utterances of MELD, with a dialogue that is unique over the parts; those called `only`, or all."""
    import pandas as pd

    found = pd.read_parquet(folder / "utterances.parquet")
    found = found if only is None else found[found.id.isin(list(only))].reset_index(drop=True)
    found["dialogue"] = found.split + "-" + found.dialogue_id.astype(str)
    return found.iloc[at_most(found.dialogue.to_numpy(str), most)].reset_index(drop=True)


def _meld(name: str, said: "pd.DataFrame", features: dict[Modality, Rows]) -> Corpus:
    where = Modality.MULTIMODAL if features else Modality.TEXT
    tasks = tuple(classes(column, said[column].to_list(), where) for column in ("sentiment", "emotion"))
    labels = _merged(told(task, said[task.dimension.name].to_list()) for task in tasks)
    dialogues = said.dialogue.to_numpy(str)
    starts = said.utterance_id.to_numpy(np.int64) * UTTERANCE_US
    features = {Modality.TEXT: hashed(said.utterance.to_list()), **features}
    return Corpus(name, tasks, features, labels, dialogues, dialogues, starts)


def _rated(task: Task, found: "pd.DataFrame", ratings: "pd.DataFrame", column: str) -> Labels:
    votes = ratings.groupby(["id", column]).size().unstack(fill_value=0)
    votes = votes.reindex(index=found.id, columns=range(1, 6), fill_value=0)
    labels: Labels = {}
    for i, (value, counts) in enumerate(zip(found[column], votes.to_numpy(), strict=True)):
        spread = {str(k + 1): float(c / counts.sum()) for k, c in enumerate(counts) if c}
        name = sample_id(i)
        labels[name, task.id] = Label(
            name, task.id, float(value), spread or shares(task, float(value)), max(int(counts.sum()), 1)
        )
    return labels
