"""Checks of the Label Studio that a project uses."""

from annotate.doctor.findings import Finding, State
from annotate.errors import LabelStudioError
from annotate.labelling.connection import address
from annotate.labelstudio.credentials import credentials_file, read_credentials
from annotate.labelstudio.security import security_problems
from annotate.labelstudio.server import StudioFolder
from annotate.project import Project


def login(project: Project) -> Finding:
    """The password of the local Label Studio is nobody else's."""
    if project.settings.labelstudio.url:
        return Finding(State.OK, "not needed: the project uses another Label Studio")
    if read_credentials(project.root) is None:
        return Finding(State.OK, "none yet; `annotate studio up` makes one")
    return Finding(State.OK, f"{credentials_file(project.root)} is private")


def label_studio(project: Project) -> Finding:
    """The project's Label Studio answers, and only to those it should."""
    settings = project.settings.labelstudio
    if not settings.url and StudioFolder(project.studio).running() is None:
        return Finding(State.OK, "not running", "annotate studio up")
    try:
        url, token = address(project)
        problems = security_problems(url, token, timeout=settings.timeout_seconds)
    except LabelStudioError as error:
        return Finding(State.FAIL, str(error), error.hint)
    if problems:
        return Finding(
            State.WARN,
            f"{url}: " + "; ".join(what for what, _ in problems),
            "; ".join(do for _, do in problems),
        )
    return Finding(State.OK, f"{url} answers, and only to its users")
