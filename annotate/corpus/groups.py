"""Which videos belong together, so that no person, episode or recording is in two splits."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from annotate.types import Split
from db.groups import VideoTies

Node = tuple[str, str]
"""(kind, name): ``video``, ``speaker`` or ``episode``."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Videos in groups; a group has one split, or none yet."""

    of: dict[str, str]
    """sha256 -> name of its group."""
    new: dict[str, int]
    """By group: samples that take part and have no split yet, those that are held back not counted."""
    all: dict[str, int]
    """By group: every sample that takes part."""
    fixed: dict[str, Split]
    """The groups that have a split."""
    held: dict[str, frozenset[str]]
    """sha256 -> speakers whose samples there would be in a second split; one empty name: the whole video."""
    clashes: tuple[str, ...]
    """Speakers, episodes and videos that are in two splits already, sorted."""

    def is_held(self, sha256: str) -> bool:
        """Whether no sample of that video may get a split."""
        return "" in self.held.get(sha256, frozenset())


def group(
    videos: Iterable[VideoTies], repeats: Iterable[tuple[str, str]], together: Collection[str]
) -> Groups:
    """The groups of `videos`; `repeats` are pairs of them (sha256) with the same sound.

    Videos that have a split come first: their ties say where each speaker and episode is at home. Of the
    others, a tie that would bring two splits together is left out and its samples are held back; ties of
    whole videos are made before those of single speakers, and of these the ones with more samples first, so
    that little is held back and the order of arrival does not matter.
    """
    known = sorted(videos, key=lambda video: video.sha256)
    ties = _Ties({video.sha256: video for video in known}, together)
    # One without any sample that has a split was restored after its speakers went elsewhere: it moves nobody.
    old = sorted((v for v in known if v.split is not None), key=_is_homeless)
    ties.join_videos(old)
    ties.join_speakers(old, settled=True)
    ties.join_videos([video for video in known if video.split is None])
    # Samples that were held back in old videos come now: they must not move the homes of their speakers.
    ties.join_speakers(known, settled=False)
    ties.join_repeats(repeats)
    return ties.groups()


def _is_homeless(video: VideoTies) -> bool:
    """Whether a video has a split, but none of its samples that take part has one."""
    return video.split is not None and 0 < video.samples == video.unsettled


@dataclass
class _Ties:
    """A union-find over videos, speakers and episodes whose sets remember their split."""

    videos: dict[str, VideoTies]
    together: Collection[str]
    _above: dict[Node, Node] = field(default_factory=dict)
    _split: dict[Node, Split] = field(default_factory=dict)
    _held: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _clashes: set[str] = field(default_factory=set)
    _apart: set[str] = field(default_factory=set)
    """Videos that are not with all who share their speaker or episode."""

    def __post_init__(self) -> None:
        for video in self.videos.values():
            if video.split is not None:
                self._split["video", video.sha256] = video.split

    def join_repeats(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Where a repeat would bring two splits together, the check for repeats rejects a sample."""
        if "repeats" not in self.together:
            return
        for one, other in sorted((min(pair), max(pair)) for pair in pairs):
            if one in self.videos and other in self.videos:
                self._join(("video", one), ("video", other))

    def join_videos(self, videos: Sequence[VideoTies]) -> None:
        """By episode, and by the speaker of the whole video."""
        for video in videos:
            if video.episode and "episode" in self.together:
                self._tie(video, ("episode", video.episode), "")
        for video in videos:
            if video.speaker in self.videos:
                # Nobody named a speaker: it is itself, or the version whose place it took.
                self._tie(video, ("video", video.speaker), "")
            elif "speaker" in self.together:
                self._tie(video, ("speaker", video.speaker), "")

    def join_speakers(self, videos: Sequence[VideoTies], *, settled: bool) -> None:
        """By the speakers of single samples: those that have a split, or all."""
        if "speaker" not in self.together:
            return
        said = [
            (-n, video.sha256, speaker)
            for video in videos
            for speaker, n in (video.settled_speakers if settled else video.speakers)
        ]
        for _, sha256, speaker in sorted(said):
            self._tie(self.videos[sha256], ("speaker", speaker), speaker, settled=settled)

    def _tie(self, video: VideoTies, to: Node, speaker: str, *, settled: bool = True) -> None:
        if self._join(("video", video.sha256), to):
            return
        if not speaker:
            self._apart.add(video.sha256)
        if video.split is not None and settled:
            self._clashes.add(to[1])
        if video.split is None or speaker or _is_homeless(video):
            # Samples that are new in an old video can still be kept apart.
            self._held[video.sha256].add(speaker)

    def _join(self, one: Node, other: Node) -> bool:
        """Make two sets one; False when they have two splits."""
        one, other = self._root(one), self._root(other)
        splits = {self._split[root] for root in (one, other) if root in self._split}
        if len(splits) == 2:
            return False
        if one != other:
            self._above[one] = other
            self._split.update((other, split) for split in splits)
        return True

    def _root(self, node: Node) -> Node:
        root = node
        while root in self._above:
            root = self._above[root]
        while node != root:
            self._above[node], node = root, self._above[node]
        return root

    def groups(self) -> Groups:
        """What came of it. A group is called like the first of its speakers, or else of its videos."""
        sets: defaultdict[Node, list[VideoTies]] = defaultdict(list)
        for video in self.videos.values():
            sets[self._root(("video", video.sha256))].append(video)
        held = {sha256: frozenset(names) for sha256, names in self._held.items()}
        found = Groups({}, {}, {}, {}, held, tuple(sorted(self._clashes)))
        for root, videos in sets.items():
            name = min(self._name(video) for video in videos)
            found.of.update((video.sha256, name) for video in videos)
            found.all[name] = sum(video.samples for video in videos)
            found.new[name] = sum(self._new(video) for video in videos)
            if root in self._split:
                found.fixed[name] = self._split[root]
        return found

    def _name(self, video: VideoTies) -> str:
        alone = "speaker" not in self.together or video.sha256 in self._apart
        return video.sha256 if alone else video.speaker

    def _new(self, video: VideoTies) -> int:
        held = self._held.get(video.sha256, set())
        if "" in held:
            return 0
        return video.unsettled - sum(n for speaker, n in video.unsettled_speakers if speaker in held)
