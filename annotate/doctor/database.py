"""Checks of the database: its schema, and that its labels are those that the annotations make."""

from annotate.doctor.findings import Finding, State
from annotate.labelling.labels import label_differences
from annotate.project import Project
from annotate.wording import counted
from db.engine import reading
from db.migrate import head


def schema(project: Project) -> Finding:
    """The database answers and speaks this code's schema."""
    project.engine.connect().close()
    return Finding(State.OK, f"{project.engine.dialect.name}, schema {head()}")


def labels(project: Project) -> Finding:
    """The stored labels are those that the annotations make."""
    with reading(project.engine) as session:
        differences = label_differences(session, project.settings.tasks())
    if differences:
        first = differences[0]
        return Finding(
            State.FAIL,
            f"{counted(len(differences), 'label')} not what the annotations give; {first.task_id} of sample "
            f"{first.sample_id} is {first.stored or 'missing'}, not {first.rebuilt or 'missing'}",
            "annotate pull --full makes every label again",
        )
    return Finding(State.OK, "consistent with the annotations")
