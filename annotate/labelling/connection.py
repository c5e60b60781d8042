"""Connects to the Label Studio of a project: its own local one, or the one in its settings."""

from typing import TYPE_CHECKING

from annotate.errors import LabelStudioError
from annotate.labelstudio.access import read, require_private
from annotate.labelstudio.credentials import credentials_file, read_credentials
from annotate.labelstudio.server import StudioFolder
from annotate.project import Project

if TYPE_CHECKING:
    from annotate.labelstudio.client import LabelStudioClient


def connect(project: Project) -> "LabelStudioClient":
    """A client of the project's Label Studio, once it answers and accepts the token.

    Raises `LabelStudioError` otherwise.
    """
    url, token = address(project)
    timeout = project.settings.labelstudio.timeout_seconds
    try:
        read(url, token, "/api/current-user/whoami", timeout)
    except LabelStudioError as error:
        if project.settings.labelstudio.url or "refuses the token" not in str(error):
            raise
        raise LabelStudioError(str(error), hint="annotate studio down, then annotate studio up") from error
    from annotate.labelstudio.client import LabelStudioClient

    return LabelStudioClient(url, token, timeout)


def address(project: Project) -> tuple[str, str]:
    """URL and token of the project's Label Studio, without connecting to it.

    Raises `LabelStudioError` when the local one does not run, or when settings are missing.
    """
    settings = project.settings.labelstudio
    if settings.url:
        require_private(settings.url)
        if not settings.token.get_secret_value():
            raise LabelStudioError(
                f"there is no token for {settings.url}",
                hint="export ANNOTATE_LABELSTUDIO__TOKEN=... (Account & Settings > Access Token there)",
            )
        return settings.url.rstrip("/"), settings.token.get_secret_value()
    running = StudioFolder(project.studio).running()
    if running is None:
        raise LabelStudioError("the project's Label Studio is not running", hint="annotate studio up")
    credentials = read_credentials(project.root)
    if credentials is None:
        raise LabelStudioError(
            f"the login of the project's Label Studio is lost ({credentials_file(project.root)} is gone)",
            hint="`annotate studio down`, then `annotate studio up` create a new one; nothing else is lost",
        )
    return running.url, credentials.token
