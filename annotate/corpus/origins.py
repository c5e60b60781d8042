"""Where samples come from: their video, their moment in it, and the group that is never divided."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from annotate.corpus.groups import group
from annotate.project import Project
from db.engine import reading
from db.groups import video_ties
from db.repeats import same_sound
from db.samples import origins

if TYPE_CHECKING:
    from annotate.learning.batches import Place, Places


def read_places(project: Project) -> "Places":
    """A function that tells the places of samples, for what trains and predicts.

    The groups are those of the splits: what hangs together by speaker, episode or repeat.
    """
    from annotate.learning.batches import Place

    with reading(project.engine) as session:
        groups = group(video_ties(session), same_sound(session), project.settings.splits.together).of

    def places(sample_ids: Sequence[str]) -> "list[Place]":
        with reading(project.engine) as session:
            found = origins(session, sample_ids)
        return [Place(*found[i], groups.get(found[i][0], found[i][0])) for i in sample_ids]

    return places
