"""Decides which transcript is used for a video that exists at several paths.

The copy that is cut first wins, unless its transcript has no usable cue and another copy has a transcript.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotate.corpus.splits import some
from annotate.ingest.files import SourceFile
from annotate.storage.urls import is_url
from annotate.types import VideoStatus
from annotate.wording import counted, either
from db.models import Video
from db.videos import CUT_FROM

UNUSABLE = "no-cues"
"""Rejection reason of a video whose transcript has no usable cue."""


def replaces_transcript(file: SourceFile, video: Video, paths: Sequence[str]) -> bool:
    """Whether the video has to be cut again with the transcript of `file`, which differs from the one in use.

    The copy that was cut stays in use while it exists, because judged samples must not change when somebody
    adds a copy. A copy without a transcript, or without a usable cue in it, gives way to one with another
    transcript. `paths` are all known paths of the video.
    """
    cut_from = str(video.facts.get(CUT_FROM, ""))
    if not cut_from:
        # An older version cut it: the path that gave the video its name is in use.
        return file.name == video.name or not any(_exists(path) for path in paths if path != file.key)
    if file.key == cut_from or not _exists(cut_from):
        return True
    unusable = video.status == VideoStatus.REJECTED and video.reason == UNUSABLE
    return file.has_transcript and (unusable or video.settings_hash.endswith(".none"))


def _exists(path: str) -> bool:
    return is_url(path) or Path(path).exists()


@dataclass
class TranscriptCopies:
    """The transcripts that are not used, because their video is cut with the transcript of another copy."""

    _unused: dict[str, str] = field(default_factory=dict)
    """By transcript: the one that is used instead."""
    _without_cues: dict[str, str] = field(default_factory=dict)
    """The same for transcripts without a usable cue."""

    def give_way(self, unusable: str, used: str) -> None:
        """Record a transcript without a usable cue, and that of another copy, which is tried instead."""
        self._without_cues[unusable] = used

    def compare(self, file: SourceFile, settings_hash: str, used_hash: str, used: str) -> None:
        """Record the transcript of `file` if it differs from the one that its video was cut with."""
        if file.has_transcript and settings_hash.rpartition(".")[2] != used_hash.rpartition(".")[2]:
            self._unused[file.transcript_path] = used

    def warnings(self) -> list[str]:
        """At most one warning about each kind."""
        because = "the same video lies at another path with a transcript of its own"
        unused = {path: used for path, used in self._unused.items() if path not in self._without_cues}
        return [
            *_warning(
                unused, f"because {because}; the copy that was cut first, in the order of paths, counts"
            ),
            *_warning(self._without_cues, f"because nothing in it is usable, and {because}"),
        ]


def _warning(unused: Mapping[str, str], why: str) -> list[str]:
    if not unused:
        return []
    number = len(unused)
    listed = some([f"{path} (used: {used or 'none'})" for path, used in sorted(unused.items())])
    return [f"{counted(number, 'transcript')} {either(number, 'is', 'are')} not used, {why}: {listed}"]
