"""Compares source files with what the database says was cut from them, to find what has to be cut."""

from functools import cached_property

from annotate.corpus.clips import send_again
from annotate.ingest.copies import replaces_transcript
from annotate.ingest.cut_hash import cut_hash, earlier_cut_hashes
from annotate.ingest.files import SourceFile
from annotate.progress import Progress
from annotate.project import Project
from annotate.types import VideoStatus
from db import groups, samples, videos
from db.chunks import chunks
from db.engine import reading

SeenFile = tuple[SourceFile, videos.KnownFile | None]
"""A file, and what the database knew of its path before this run."""


class CutRecords:
    """What the database says was cut, compared with the present settings and files."""

    def __init__(self, project: Project) -> None:
        self._project = project
        plan = project.settings.cut_plan()
        self.cut_hash = cut_hash(plan)
        """Hash of the present settings."""
        self._earlier_hashes = earlier_cut_hashes(plan)
        self.without_clips: set[str] = set()
        """sha256 of videos that are cut again because clips are missing."""
        self.kept_cuts: set[str] = set()
        """sha256 of videos that keep the cut of an earlier version of this program."""

    def compare(
        self, files: list[SourceFile], progress: Progress
    ) -> tuple[list[SeenFile], list[tuple[str, SourceFile]]]:
        """The files that have to be opened, and the unchanged ones with the sha256 of their video.

        Compares the database with the listing, and opens no file. Of several copies of a video, those with a
        transcript come first.
        """
        changed: list[SeenFile] = []
        unchanged: list[tuple[str, SourceFile]] = []
        with progress.bar("look for clips", total=None):
            stored = self._project.clips.stored()
        with progress.bar("look", total=len(files)) as bar, reading(self._project.engine) as session:
            for chunk in chunks(files):
                known = videos.known_files(session, [file.key for file in chunk])
                pairs = samples.ids_of_videos(session, sorted({before.sha256 for before in known.values()}))
                missing = {sample: video for video, sample in pairs if not stored(sample)}
                restored = send_again(self._project, missing)
                self.without_clips |= {v for sample, v in missing.items() if sample not in restored}
                for file in chunk:
                    before = known.get(file.key)
                    if before is not None and before.removed and file.stat == before.stat:
                        continue  # whatever the settings say: it stays removed
                    if (
                        before is not None
                        and file.stat == before.stat
                        and (
                            before.sha256 not in self.without_clips
                            and self._is_cut(before.sha256, before.settings_hash)
                        )
                    ):
                        unchanged.append((before.sha256, file))
                    else:
                        changed.append((file, before))
                bar.advance(len(chunk))
        changed.sort(key=lambda pair: not pair[0].has_transcript)
        return changed, unchanged

    def needs_cut(self, file: SourceFile, sha256: str, settings_hash: str, *, touched: bool) -> bool:
        """Whether the video `sha256` at `file` has to be cut; `settings_hash` includes its transcript.

        `touched` means that the file's path was known and its stat changed, so that a video that failed is
        tried again.
        """
        with reading(self._project.engine) as session:
            video = videos.video(session, sha256)
            if video is None:
                return True
            if video.removed_at is not None:
                return False
            if sha256 in self.without_clips or not self._is_cut(sha256, video.settings_hash):
                return True
            if video.settings_hash.partition(".")[2] == settings_hash.partition(".")[2]:
                return video.status == VideoStatus.FAILED and touched
            return replaces_transcript(file, video, videos.paths_of(session, sha256))

    def _is_cut(self, sha256: str, settings_hash: str) -> bool:
        """Whether a video was cut by the present settings, whatever its transcript.

        A cut of an earlier version of this program stays where raters were asked about it, because a new cut
        would retire the samples that they judged.
        """
        used = settings_hash.partition(".")[0]
        if used in self._earlier_hashes and sha256 in self._judged:
            self.kept_cuts.add(sha256)
            return True
        return used == self.cut_hash

    @cached_property
    def _judged(self) -> set[str]:
        """sha256 of videos that raters were asked about, or that have labels."""
        with reading(self._project.engine) as session:
            return groups.fixed_videos(session)
