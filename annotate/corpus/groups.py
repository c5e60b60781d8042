"""Groups videos that belong together, so that no person, episode or recording is in two splits."""

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
    """Name of the group of each video, by sha256."""
    new: dict[str, int]
    """Active samples without a split by group, without those that are held back."""
    all: dict[str, int]
    """All active samples by group."""
    fixed: dict[str, Split]
    """The split of each group that has one."""
    held: dict[str, frozenset[str]]
    """Speakers whose samples would be in a second split, by sha256 of the video; an empty name holds back the
    whole video."""
    clashes: tuple[str, ...]
    """Speakers, episodes and videos that are in two splits already, sorted."""

    def is_held(self, sha256: str) -> bool:
        """Whether no sample of that video may get a split."""
        return "" in self.held.get(sha256, frozenset())


def group(
    videos: Iterable[VideoTies], duplicates: Iterable[tuple[str, str]], together: Collection[str]
) -> Groups:
    """The groups of `videos`; `duplicates` are pairs of them (sha256) with the same sound.

    Videos with a split come first and determine the split of each speaker and episode. For other videos, a
    tie that would join two splits is left out, and its samples are held back. Ties of whole videos come
    before those of single speakers, and among the latter those with more samples come first, so that few
    samples are held back and the order of arrival does not matter."""
    ordered = sorted(videos, key=lambda video: video.sha256)
    ties = _Ties({video.sha256: video for video in ordered}, together)
    # A video whose samples have no split was restored after its speakers moved on: it decides last.
    old = sorted((v for v in ordered if v.split is not None), key=_is_homeless)
    ties.join_videos(old)
    ties.join_speakers(old, settled=True)
    ties.join_videos([video for video in ordered if video.split is None])
    # Samples that were held back in old videos come last: they must not change the splits of their speakers.
    ties.join_speakers(ordered, settled=False)
    ties.join_duplicates(duplicates)
    return ties.groups()


def _is_homeless(video: VideoTies) -> bool:
    """Whether a video has a split, but none of its active samples has one."""
    return video.split is not None and 0 < video.samples == video.unsettled


@dataclass
class _Ties:
    """A union-find over videos, speakers and episodes whose sets know their split."""

    videos: dict[str, VideoTies]
    together: Collection[str]
    _above: dict[Node, Node] = field(default_factory=dict)
    _split: dict[Node, Split] = field(default_factory=dict)
    _held: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _clashes: set[str] = field(default_factory=set)
    _apart: set[str] = field(default_factory=set)
    """Videos that could not join the others with their speaker or episode."""

    def __post_init__(self) -> None:
        for video in self.videos.values():
            if video.split is not None:
                self._split["video", video.sha256] = video.split

    def join_duplicates(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Join videos with the same sound; where that would join two splits, a check rejects a sample."""
        if "repeats" not in self.together:
            return
        for one, other in sorted((min(pair), max(pair)) for pair in pairs):
            if one in self.videos and other in self.videos:
                self._join(("video", one), ("video", other))

    def join_videos(self, videos: Sequence[VideoTies]) -> None:
        """Join videos by episode, and by the speaker of the whole video."""
        for video in videos:
            if video.episode and "episode" in self.together:
                self._tie(video, ("episode", video.episode), "")
        for video in videos:
            if video.speaker in self.videos:
                # Without a named speaker, this is the video itself or the version that it replaced.
                self._tie(video, ("video", video.speaker), "")
            elif "speaker" in self.together:
                self._tie(video, ("speaker", video.speaker), "")

    def join_speakers(self, videos: Sequence[VideoTies], *, settled: bool) -> None:
        """Join videos by the speakers of single samples: of those with a split, or of all."""
        if "speaker" not in self.together:
            return
        counts = [
            (-n, video.sha256, speaker)
            for video in videos
            for speaker, n in (video.settled_speakers if settled else video.speakers)
        ]
        for _, sha256, speaker in sorted(counts):
            self._tie(self.videos[sha256], ("speaker", speaker), speaker, settled=settled)

    def _tie(self, video: VideoTies, to: Node, speaker: str, *, settled: bool = True) -> None:
        if self._join(("video", video.sha256), to):
            return
        if not speaker:
            self._apart.add(video.sha256)
        if video.split is not None and settled:
            self._clashes.add(to[1])
        if video.split is None or speaker or _is_homeless(video):
            # New samples of an old video can still be held back.
            self._held[video.sha256].add(speaker)

    def _join(self, one: Node, other: Node) -> bool:
        """Join two sets; returns False if they have different splits."""
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
        """The groups, each named after the first of its speakers, or else of its videos."""
        sets: defaultdict[Node, list[VideoTies]] = defaultdict(list)
        for video in self.videos.values():
            sets[self._root(("video", video.sha256))].append(video)
        held = {sha256: frozenset(names) for sha256, names in self._held.items()}
        groups = Groups({}, {}, {}, {}, held, tuple(sorted(self._clashes)))
        for root, videos in sets.items():
            name = min(
                video.sha256
                if "speaker" not in self.together or video.sha256 in self._apart
                else video.speaker
                for video in videos
            )
            groups.of.update((video.sha256, name) for video in videos)
            groups.all[name] = sum(video.samples for video in videos)
            groups.new[name] = 0
            for video in videos:
                held_names = held.get(video.sha256, frozenset())
                if "" not in held_names:  # an empty name holds back the whole video
                    tied = sum(n for speaker, n in video.unsettled_speakers if speaker in held_names)
                    groups.new[name] += video.unsettled - tied
            if root in self._split:
                groups.fixed[name] = self._split[root]
        return groups
