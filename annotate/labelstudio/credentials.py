"""Stores the login of a project's Label Studio in a private file outside the project."""

import hashlib
import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path

from annotate.errors import LabelStudioError

LOGIN = "annotate@localhost"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The first user of a local Label Studio. Secrets stay out of `repr`."""

    login: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    """40 hex digits, for `Authorization: Token ...`."""

    @classmethod
    def new(cls) -> "Credentials":
        """Random credentials for a server without users."""
        return cls(LOGIN, secrets.token_urlsafe(12), secrets.token_hex(20))


def credentials_file(root: Path) -> Path:
    """The file for the project in `root`, in `$ANNOTATE_STATE` or else the user's state folder."""
    given = os.environ.get("ANNOTATE_STATE")
    if given:
        state = Path(given)
    else:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "annotate"
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return state / "studios" / f"{name}.json"


def read_credentials(root: Path) -> Credentials | None:
    """The credentials of the project in `root`, or None.

    Raises `LabelStudioError` when others can read the file, or when it is damaged.
    """
    path = credentials_file(root)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise LabelStudioError(f"others can read the passwords in {path}", hint=f"chmod 600 '{path}'")
        content = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(content["login"], content["password"], content["token"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelStudioError(
            f"{path} cannot be read: {error}",
            hint=f"rm '{path}'; then `annotate studio down` and `annotate studio up` create a new login",
        ) from error


def save_credentials(root: Path, credentials: Credentials) -> Path:
    """Write the credentials so that nobody else can ever read them; returns the file."""
    path = credentials_file(root)
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    partial = path.with_suffix(f".{secrets.token_hex(4)}.part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({**asdict(credentials), "project": str(root)}, file)
    partial.rename(path)
    return path
