"""Small made-up projects whose truth is known, to show where a mechanism helps and where not.

A sample has a hidden code; tasks are functions of it, modalities are noisy views of it. Each flag of a
`Plan` plants one thing that one kind of mechanism can find and plain ones cannot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotate.errors import UsageError
from annotate.types import UNIMODAL, Answer, Dimension, Kind, Label, Modality, Task
from benchmarks._sets import UTTERANCE_US, Corpus, Labels, Rows, sample_id, shares

Array = NDArray[np.float64]
Codes = Mapping[str, Array]
"""By task id: (n, directions), what the task depends on."""
Truth = dict[str, Array]
"""By task id: (n,) with mean 0 and standard deviation 1."""

STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""The answers of a regression task: that of CH-SIMS, coarser."""
CLASSES = ("negative", "neutral", "positive")
SPREAD = 2.5
"""Standard deviations of the truth from the middle to the end of the scale."""
LOUD = 3.0
"""Standard deviation of the frames around a planted one, which has 1."""
MARK = 4.0
"""What the first column shows in a planted frame, and nowhere else: how it can be found."""
CHAIN = ("T", "A", "V", "M")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to make. The default is easy: linear, all tasks the same, each modality sees all."""

    samples: int = 400
    groups: int = 10
    """Speakers."""
    videos: int = 2
    """Per group; its utterances follow each other."""
    frames: tuple[int, int] = (1, 1)
    """Fewest and most per sample and modality, drawn uniformly."""
    dims: Mapping[Modality, int] = field(
        default_factory=lambda: {Modality.TEXT: 16, Modality.AUDIO: 12, Modality.VISION: 12}
    )
    """Columns by modality; a modality that is not named does not exist."""
    tasks: tuple[str, ...] = ("sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M")
    """Task ids."""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """By task id; regression on [-1, 1] where nothing is said; classification: three equal classes."""
    directions: int = 2
    """Columns of the hidden code that one task depends on."""
    relatedness: float = 1.0
    """1: every task is the same linear function of the same columns. 0: each has its own columns and its own
    nonlinearity, so that a small shared trunk cannot hold them all."""
    own_view: bool = False
    """A modality shows only what its own task depends on, M depends on all; else each shows everything."""
    task_levels: bool = False
    """Tasks get deeper in their order: linear, bent, a product of two columns, a wave of that product."""
    nested: bool = False
    """Tasks build on each other in their order: the first is bent, each other a wave of the one before it."""
    causal_chain: bool = False
    """V follows from A, A from T, by waves, and M from all three; what else they depend on, only the task's
    own modality shows. Needs one task of each modality."""
    interaction: bool = False
    """M is the sum of the products of what two modalities show, each on its own useless for it."""
    context: bool = False
    """A sample's truth is the sum of its own and of its neighbours' in the video."""
    planted_frame: bool = False
    """One frame of each sequence shows the code, and a mark in the first column; the rest are loud noise."""
    order_matters: bool = False
    """The second half of a sequence shows the code with its sign turned, so that the set of frames says
    nothing of the sign; truths are linear."""
    noise: float | Mapping[str, float] = 0.1
    """Of one rater, in standard deviations of the truth; by task id, or the same for all."""
    raters: int = 0
    """Per label: each says the nearest answer, the label is their mean (class: the most frequent). 0: one
    number per label, not rounded."""
    feature_noise: float | Mapping[Modality, float] = 0.3
    """Per column and frame, in standard deviations of what is shown; by modality, or the same for all."""
    missing_labels: float | Mapping[str, float] = 0.0
    """Share of samples without the label, by task id, or the same for all."""
    missing_modalities: float | Mapping[Modality, float] = 0.0
    """Share of samples without the modality, by modality, or the same for all; none is left without any."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for what cannot be made."""
        for bad, why, way in self._impossible():
            if bad:
                raise UsageError(why, hint=way)

    def _impossible(self) -> Sequence[tuple[bool, str, str]]:
        views = [m.value for m in UNIMODAL if m in self.dims]
        found = [task_id.rpartition(".")[2] for task_id in self.tasks]
        shares = [v for given in (self.missing_labels, self.missing_modalities) for v in _all(given)]
        own = self.own_view or self.causal_chain or self.interaction
        return (
            (self.samples < self.groups * self.videos, "a video needs a sample", "ask for more samples"),
            (
                not 0 <= self.relatedness <= 1,
                "relatedness lies in 0 to 1",
                "1: the same, 0: nothing in common",
            ),
            (
                not all(0 <= s < 1 for s in shares),
                "a share lies in 0 to 1, without 1",
                "leave the task out instead",
            ),
            (self.frames[0] < 1 or self.frames[0] > self.frames[1], "frames are (fewest, most)", "from 1 on"),
            (
                (self.planted_frame or self.order_matters) and self.frames[0] < 2,
                "one frame has no others and no order",
                "set frames, such as (12, 20)",
            ),
            (
                own and not set(found) <= {*views, "M"},
                "a task of a modality that does not exist has nothing to depend on",
                "name the modality under dims",
            ),
            (
                self.planted_frame and self.order_matters,
                "planted_frame and order_matters each say what a sequence is",
                "choose one",
            ),
            (
                Kind.MULTILABEL in self.kinds.values(),
                "no multilabel truth is made",
                "choose regression or classification",
            ),
            (
                self.causal_chain and sorted(found) != sorted(CHAIN),
                "a chain has a task of each of T, A, V and M",
                "leave tasks as they are",
            ),
            (
                self.interaction and len(views) < 2,
                "a product across modalities needs two",
                "name two modalities under dims",
            ),
            (
                sum((self.causal_chain, self.interaction, self.task_levels, self.nested, self.order_matters))
                > 1,
                "causal_chain, interaction, task_levels, nested and order_matters each say what the truth is",
                "choose one",
            ),
        )


def generate(plan: Plan, rng: np.random.Generator) -> Corpus:
    """The same plan and seed, the same corpus; flags of features or labels leave the hidden code as it is."""
    for_codes, for_features, for_labels, for_gaps = rng.spawn(4)
    tasks = tuple(_task(plan, task_id) for task_id in plan.tasks)
    videos = np.arange(plan.samples) * (plan.groups * plan.videos) // plan.samples
    codes, views = _codes(plan, for_codes)
    truth = {task_id: _standard(values) for task_id, values in _truth(plan, codes, views).items()}
    if plan.context:
        truth = {task_id: _standard(_with_neighbours(values, videos)) for task_id, values in truth.items()}
    labels: Labels = {}
    for task in tasks:
        labels |= _labels(plan, task, truth[task.id], for_labels)
    features = {m: _shown(plan, m, view, for_features) for m, view in views.items()}
    return Corpus(
        name="generated",
        tasks=tasks,
        features=_with_gaps(plan, features, for_gaps),
        labels=labels,
        groups=np.array([f"speaker{v // plan.videos:03d}" for v in videos]),
        videos=np.array([f"video{v:04d}" for v in videos]),
        starts=(np.arange(plan.samples) - np.searchsorted(videos, videos)).astype(np.int64) * UTTERANCE_US,
        truth={task.id: _answer(task, truth[task.id], truth[task.id]) for task in tasks},
    )


def _task(plan: Plan, task_id: str) -> Task:
    name, _, modality = task_id.rpartition(".")
    kind = plan.kinds.get(task_id, Kind.REGRESSION)
    steps: tuple[Answer, ...] = tuple(Answer(v, f"{v:g}") for v in STEPS)
    if kind is not Kind.REGRESSION:
        steps = tuple(Answer(v, v) for v in CLASSES)
    return Task(Dimension(name, kind, steps), Modality(modality))


# What tasks depend on, and what modalities show.


def _codes(plan: Plan, rng: np.random.Generator) -> tuple[Codes, dict[Modality, Array]]:
    """By task what it depends on, by modality the columns that it shows, all of them standard normal."""
    common, *rest = rng.standard_normal((1 + max(len(plan.tasks), 3), plan.samples, plan.directions))
    present = [m for m in UNIMODAL if m in plan.dims]
    if not (plan.own_view or plan.causal_chain or plan.interaction):
        own = dict(zip(plan.tasks, rest, strict=False))
        everything = np.concatenate([common, *own.values()], axis=1)
        return {i: _related(plan.relatedness, common, c) for i, c in own.items()}, dict.fromkeys(
            present, everything
        )
    alike = 0.0 if plan.causal_chain or plan.interaction else plan.relatedness
    views = {m: _related(alike, common, c) for m, c in zip(present, rest, strict=False)}
    whole = _standard(np.sum(list(views.values()), axis=0))
    return {i: views.get(_modality(i), whole) for i in plan.tasks}, views


def _related(relatedness: float, common: Array, own: Array) -> Array:
    """So that two of them correlate by `relatedness`."""
    return np.sqrt(relatedness) * common + np.sqrt(1 - relatedness) * own


def _modality(task_id: str) -> Modality:
    return Modality(task_id.rpartition(".")[2])


# The truth.


def _line(code: Array) -> Array:
    return _standard(code.sum(axis=1))


def _fold(code: Array) -> Array:
    return _standard(np.abs(code).sum(axis=1))


def _wave(code: Array, turns: float = 1.5) -> Array:
    return _standard(np.sin(turns * code).sum(axis=1))


def _square(code: Array) -> Array:
    return _standard((code**2).sum(axis=1))


def _product(code: Array) -> Array:
    return _standard(code[:, 0] * code[:, -1])


def _wave_of_product(code: Array) -> Array:
    return _standard(np.sin(2 * code[:, 0] * code[:, -1]))


CONFLICTING: tuple[Callable[[Array], Array], ...] = (_fold, _wave, _square, _product)
LEVELS: tuple[Callable[[Array], Array], ...] = (_line, _fold, _product, _wave_of_product)


def _truth(plan: Plan, codes: Codes, views: Mapping[Modality, Array]) -> Truth:
    if plan.causal_chain:
        return _chain(plan, views)
    if plan.order_matters:
        return {task_id: _line(code) for task_id, code in codes.items()}
    if plan.task_levels:
        return {task_id: LEVELS[min(i, 3)](code) for i, (task_id, code) in enumerate(codes.items())}
    if plan.nested:
        return _nested(codes)
    if plan.interaction:
        return {
            i: _products(views) if _modality(i) not in views else _line(code) for i, code in codes.items()
        }
    return {
        task_id: plan.relatedness * _line(code) + (1 - plan.relatedness) * CONFLICTING[i % 4](code)
        for i, (task_id, code) in enumerate(codes.items())
    }


def _chain(plan: Plan, views: Mapping[Modality, Array]) -> Truth:
    """T -> A -> V by one wave each, so that V is many waves of T; M is the sum, most of it V."""
    text, audio, vision = (_line(views[m]) for m in UNIMODAL)
    second = _standard(_wave(text[:, None], 2) + 0.5 * audio)
    third = _standard(_wave(second[:, None], 2) + 0.5 * vision)
    found = dict(zip(CHAIN, (text, second, third, text + second + 2 * third), strict=True))
    return {task_id: found[_modality(task_id).value] for task_id in plan.tasks}


def _nested(codes: Codes) -> Truth:
    found: Truth = {}
    last = None
    for task_id, code in codes.items():
        last = _fold(code) if last is None else _wave(last[:, None])
        found[task_id] = last
    return found


def _products(views: Mapping[Modality, Array]) -> Array:
    shown = [_line(view) for view in views.values()]
    return np.sum([a * b for i, a in enumerate(shown) for b in shown[:i]], axis=0)


def _with_neighbours(values: Array, videos: NDArray[np.intp]) -> Array:
    """Each with those before and behind it in its video."""
    follows = videos[1:] == videos[:-1]
    found = values.copy()
    found[1:] += np.where(follows, values[:-1], 0)
    found[:-1] += np.where(follows, values[1:], 0)
    return found


# The features.


def _shown(plan: Plan, modality: Modality, view: Array, rng: np.random.Generator) -> Rows:
    """Per sample (frames, dim)."""
    dim, noise = plan.dims[modality], _of(plan.feature_noise, modality)
    mixed = view @ _mixing(view.shape[1], dim - plan.planted_frame, rng)
    lengths = rng.integers(plan.frames[0], plan.frames[1] + 1, plan.samples)
    make = _planted if plan.planted_frame else _turned if plan.order_matters else _steady
    return [
        make(row, length, noise, rng).astype(np.float32) for row, length in zip(mixed, lengths, strict=True)
    ]


def _mixing(columns: int, dim: int, rng: np.random.Generator) -> Array:
    """(columns, dim) a rotation, or part of one, after which every column has about the same spread."""
    tall = np.linalg.qr(rng.standard_normal((max(columns, dim), min(columns, dim))))[0]
    return tall if columns >= dim else tall.T * np.sqrt(dim / columns)


def _steady(row: Array, length: int, noise: float, rng: np.random.Generator) -> Array:
    return row + noise * rng.standard_normal((length, len(row)))


def _planted(row: Array, length: int, noise: float, rng: np.random.Generator) -> Array:
    frames = LOUD * rng.standard_normal((length, len(row)))
    at = rng.integers(length)
    frames[at] = _steady(row, 1, noise, rng)
    return np.column_stack([np.where(np.arange(length) == at, MARK, 0), frames])


def _turned(row: Array, length: int, noise: float, rng: np.random.Generator) -> Array:
    # The frame in the middle of an odd number shows nothing: it would give the sign away.
    signs = np.sign((length - 1) / 2 - np.arange(length))
    return signs[:, None] * row + noise * rng.standard_normal((length, len(row)))


def _with_gaps(plan: Plan, features: dict[Modality, Rows], rng: np.random.Generator) -> dict[Modality, Rows]:
    gone = {m: rng.random(plan.samples) < _of(plan.missing_modalities, m) for m in features}
    spared = rng.choice(list(features), plan.samples)
    empty = np.all(list(gone.values()), axis=0)
    return {
        m: [
            frames[:0] if away and not (alone and kept == m) else frames
            for frames, away, alone, kept in zip(found, gone[m], empty, spared, strict=True)
        ]
        for m, found in features.items()
    }


# The labels.


def _labels(plan: Plan, task: Task, truth: Array, rng: np.random.Generator) -> Labels:
    """What the raters say of those samples that anybody judged."""
    known = rng.random(plan.samples) >= _of(plan.missing_labels, task.id)
    slips = rng.standard_normal((plan.samples, max(plan.raters, 1)))
    said = _answer(task, truth[:, None] + _of(plan.noise, task.id) * slips, truth)
    make = _voted if plan.raters else _measured
    return {(sample_id(i), task.id): make(task, sample_id(i), said[i]) for i in np.flatnonzero(known)}


def _answer(task: Task, said: Array, truth: Array) -> Array:
    """Place on the scale, or index of the class; the classes are of equal size in `truth`."""
    if task.dimension.kind is Kind.REGRESSION:
        return np.clip(said / SPREAD, -1, 1)
    return np.searchsorted(np.quantile(truth, (1 / 3, 2 / 3)), said).astype(float)


def _measured(task: Task, name: str, said: Array) -> Label:
    regression = task.dimension.kind is Kind.REGRESSION
    value = float(said[0]) if regression else CLASSES[int(said[0])]
    return Label(name, task.id, value, shares(task, value), 1)


def _voted(task: Task, name: str, said: Array) -> Label:
    regression = task.dimension.kind is Kind.REGRESSION
    votes = np.abs(said[:, None] - STEPS).argmin(axis=1) if regression else said.astype(int)
    counts = np.bincount(votes, minlength=len(task.dimension.answers))
    spread = {
        a.alias: c / len(votes) for a, c in zip(task.dimension.answers, counts.tolist(), strict=True) if c
    }
    value = float(np.mean(np.array(STEPS)[votes])) if regression else CLASSES[int(counts.argmax())]
    return Label(name, task.id, value, spread, len(votes))


def _standard(values: Array) -> Array:
    """Mean 0 and standard deviation 1 of each column."""
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _all(given: float | Mapping[str, float] | Mapping[Modality, float]) -> Sequence[float]:
    return list(given.values()) if isinstance(given, Mapping) else [given]


def _of(given: float | Mapping[str, float] | Mapping[Modality, float], key: str) -> float:
    # A modality is a string too, and found by its key.
    return {str(k): v for k, v in given.items()}.get(str(key), 0.0) if isinstance(given, Mapping) else given
