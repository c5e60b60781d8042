"""Whatever ties videos to each other, nothing that hangs together is ever in two splits."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.config.settings import Settings
from annotate.corpus.groups import group
from annotate.corpus.splits import Division, divide
from annotate.types import Split
from db.groups import VideoTies

EVERYTHING = ("speaker", "episode", "repeats")
DIMENSIONS = [{
    "name": "sentiment", "kind": "classification",
    "answers": [{"value": "good", "label": "good"}, {"value": "bad", "label": "bad"}],
}]  # fmt: skip


def settings(*together: str, seed: int = 0) -> Settings:
    return Settings(
        dimensions=DIMENSIONS, splits={"together": together or EVERYTHING}, project={"seed": seed}
    )


def video(
    name: str, *speakers: str, split: Split | None = None, whole: str = "", episode: str = "", each: int = 1
):  # type: ignore[no-untyped-def]
    """A video in which each of `speakers` has `each` samples, and nobody has one more."""
    said = tuple((speaker, each) for speaker in sorted(speakers))
    n = each * len(speakers) + 1
    return VideoTies(
        name, whole or name, episode, split, samples=n, unsettled=0 if split else n,
        speakers=said, settled_speakers=said if split else (), unsettled_speakers=() if split else said,
    )  # fmt: skip


def together(*videos: VideoTies, repeats=(), ties=EVERYTHING) -> list[set[str]]:  # type: ignore[no-untyped-def]
    found = group(videos, repeats, ties)
    names = sorted(set(found.of.values()))
    return sorted(({sha for sha, of in found.of.items() if of == name} for name in names), key=min)


@pytest.mark.parametrize("ties", [EVERYTHING, (), ("episode",)])
def test_strangers_stay_apart(ties: tuple[str, ...]) -> None:
    assert together(video("1", "ann"), video("2", "ben"), video("3"), ties=ties) == [{"1"}, {"2"}, {"3"}]


def test_one_sample_of_a_speaker_joins_her_video_to_those_that_are_hers() -> None:
    found = together(video("1", whole="ann"), video("2", "ben", "ann"), video("3", "ben"), video("4", "cleo"))
    assert found == [{"1", "2", "3"}, {"4"}]


def test_an_episode_and_a_repeat_join_too_unless_the_settings_leave_them_free() -> None:
    videos = [
        video("1", episode="e1"),
        video("2", episode="e1"),
        video("3"),
        video("4", "ann"),
        video("5", "ann"),
    ]
    repeats = [("3", "2"), ("3", "unknown")]
    assert together(*videos, repeats=repeats) == [{"1", "2", "3"}, {"4", "5"}]
    assert together(*videos, repeats=repeats, ties=("episode",)) == [{"1", "2"}, {"3"}, {"4"}, {"5"}]
    assert together(*videos, repeats=repeats, ties=("repeats",)) == [{"1"}, {"2", "3"}, {"4"}, {"5"}]


def test_a_new_version_of_a_video_stays_with_it_whatever_the_settings_say() -> None:
    assert together(video("1"), video("2", whole="1"), ties=()) == [{"1", "2"}]


def test_a_new_video_joins_the_split_of_its_group() -> None:
    old = [video("1", "ann", split=Split.TEST), video("2", split=Split.TRAIN)]
    assert split(*old, video("3", "ann")).splits["3"] is Split.TEST


def test_of_a_video_that_ties_two_splits_only_the_smaller_part_is_held_back() -> None:
    old = [video("1", "ann", split=Split.TEST), video("2", "ben", split=Split.TRAIN)]
    both = replace(video("3"), speakers=(("ann", 2), ("ben", 5)), unsettled_speakers=(("ann", 2), ("ben", 5)))
    found = split(*old, replace(both, samples=8, unsettled=8))
    assert found.splits["3"] is Split.TRAIN
    assert found.groups.held == {"3": {"ann"}}
    assert found.groups.new[found.groups.of["3"]] == 6
    assert "ann" in found.warnings(2)[0] and found.warnings(2)[0].startswith("2 samples get no split")


def test_a_video_whose_episode_is_in_another_split_than_its_speaker_is_held_back_whole() -> None:
    old = [video("1", episode="e1", split=Split.TEST), video("2", whole="ben", split=Split.TRAIN)]
    found = split(*old, video("3", whole="ben", episode="e1"))
    assert "3" not in found.splits and found.groups.is_held("3")


def test_what_is_in_two_splits_already_stays_and_is_told() -> None:
    old = [video("1", "ann", split=Split.TEST), video("2", "ann", split=Split.TRAIN)]
    found = split(*old)
    assert found.groups.clashes == ("ann",)
    assert any("in two splits already" in warning for warning in found.warnings(0))


def test_a_cast_that_joins_everything_is_told_with_the_way_out() -> None:
    videos = [video(str(n), "monica", "ross", episode=f"e{n}", each=5) for n in range(10)]
    (warning,) = split(*videos).warnings(0)
    assert warning.startswith("10 videos share speakers") and 'together = ["episode"]' in warning
    apart = divide(videos, (), dict.fromkeys(Split, 0), settings("episode"))
    assert apart.warnings(0) == [] and set(apart.splits.values()) == set(Split)


def test_one_long_video_alone_is_no_cast() -> None:
    assert split(video("1", "ann", each=100), video("2"), video("3")).warnings(0) == []


def test_a_video_without_a_sample_waits_unless_its_group_has_a_split() -> None:
    nothing = {"samples": 0, "unsettled": 0, "unsettled_speakers": ()}
    found = split(
        video("1", "ann", split=Split.TEST),
        replace(video("2", "ann"), **nothing),
        replace(video("3"), **nothing),
    )
    assert found.splits["2"] is Split.TEST and "3" not in found.splits


def test_samples_that_were_held_back_never_move_the_home_of_their_speaker() -> None:
    home = video("1", "ann", split=Split.TEST)
    other = replace(
        video("2", split=Split.TRAIN),
        samples=6,
        unsettled=5,
        speakers=(("ann", 5),),
        unsettled_speakers=(("ann", 5),),
    )
    found = split(home, other)
    assert found.groups.held == {"2": {"ann"}} and found.groups.clashes == ()


# ---- what holds for any videos ---------------------------------------------------------------------

NAMES = st.sampled_from(["ann", "ben", "cleo", "dan"])
PEOPLE = st.dictionaries(NAMES, st.integers(1, 9), max_size=3)
VIDEO = st.tuples(PEOPLE, st.one_of(st.just(""), NAMES), st.sampled_from(["", "e1", "e2", "e3"]))
INGESTS = st.lists(st.lists(VIDEO, max_size=6), min_size=1, max_size=4)
PAIRS = st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=4)
KEPT = st.sampled_from([EVERYTHING, ("episode",), ("speaker",), ("repeats", "speaker")])


def split(*videos: VideoTies, repeats=(), kept=EVERYTHING, seed=0) -> Division:  # type: ignore[no-untyped-def]
    counts = dict.fromkeys(Split, 0)
    for one in videos:
        if one.split:
            counts[one.split] += one.samples - one.unsettled
    return divide(videos, repeats, counts, settings(*kept, seed=seed))


class Corpus:
    """Stands in for the database: what has a split keeps it."""

    def __init__(self, repeats, kept) -> None:  # type: ignore[no-untyped-def]
        self.repeats, self.kept = repeats, kept
        self.videos: dict[str, VideoTies] = {}
        self.samples: dict[tuple[str, str], Split] = {}

    def ingest(self, new: list[VideoTies]) -> Division:
        self.videos.update((one.sha256, one) for one in new)
        found = split(*self.videos.values(), repeats=self.repeats, kept=self.kept)
        for sha256, chosen in found.splits.items():
            old = self.videos[sha256]
            held = found.groups.held.get(sha256, frozenset())
            waiting = {name: n for name, n in old.unsettled_speakers if name in held}
            self.samples |= {
                (sha256, name): chosen for name, _ in (*old.speakers, ("", 1)) if name not in held
            }
            kept = tuple((name, n) for name, n in old.speakers if name not in waiting)
            self.videos[sha256] = replace(
                old,
                split=chosen,
                settled_speakers=kept,
                unsettled=sum(waiting.values()),
                unsettled_speakers=tuple(waiting.items()),
            )
        return found


def batches(ingests) -> list[list[VideoTies]]:  # type: ignore[no-untyped-def]
    count, made = 0, []
    for ingest in ingests:
        made.append([])
        for people, whole, episode in ingest:
            said, name = tuple(sorted(people.items())), f"{count:02d}"
            n = sum(people.values()) + 1
            made[-1].append(VideoTies(name, whole or name, episode, None, n, n, said, said))
            count += 1
    return made


@given(INGESTS, PAIRS, KEPT)
def test_nothing_that_hangs_together_is_in_two_splits_and_nothing_ever_moves(ingests, pairs, kept) -> None:  # type: ignore[no-untyped-def]
    repeats = [(f"{a:02d}", f"{b:02d}") for a, b in pairs]
    corpus = Corpus(repeats, kept)
    for batch in batches(ingests):
        before = dict(corpus.samples)
        corpus.ingest(batch)
        assert {key: corpus.samples[key] for key in before} == before
        homes: dict[tuple[str, str], set[Split]] = {}
        for (sha256, speaker), chosen in corpus.samples.items():
            one = corpus.videos[sha256]
            assert chosen is one.split
            if "speaker" in kept:
                for name in {speaker, one.speaker} - {""}:
                    homes.setdefault(("speaker", name), set()).add(chosen)
            if "episode" in kept and one.episode:
                homes.setdefault(("episode", one.episode), set()).add(chosen)
        assert all(len(splits) == 1 for splits in homes.values())


@given(INGESTS, PAIRS, KEPT, st.randoms(use_true_random=False))
def test_within_one_ingest_the_order_of_arrival_does_not_matter(
    ingests, pairs, kept, shuffle: random.Random
) -> None:  # type: ignore[no-untyped-def]
    repeats = [(f"{a:02d}", f"{b:02d}") for a, b in pairs]
    one, other = Corpus(repeats, kept), Corpus(list(reversed(repeats)), kept)
    for batch in batches(ingests):
        one.ingest(batch)
        shuffle.shuffle(batch)
        other.ingest(batch)
    assert one.samples == other.samples


@given(st.lists(VIDEO, max_size=12), st.integers(0, 5))
def test_with_three_groups_or_more_no_split_stays_empty(people, seed: int) -> None:  # type: ignore[no-untyped-def]
    (videos,) = batches([people])
    found = split(*videos, seed=seed)
    groups = set(found.groups.of.values())
    assert len(set(found.splits.values())) == min(3, len(groups)) or len(groups) < 3


def test_a_hundred_thousand_videos_take_seconds() -> None:
    import time

    videos = [video(f"{n:06d}", f"p{n % 7919}", f"q{n % 10007}") for n in range(100_000)]
    started = time.process_time()
    group(videos, [], EVERYTHING)
    assert time.process_time() - started < 10
