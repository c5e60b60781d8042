"""Find out whether a Label Studio lets in people it should not."""

import re
import socket
from contextlib import closing

import httpx

from annotate.labelstudio.access import is_loopback, read

SAFE_VERSION = (1, 23, 1)
"""The first whose defaults refuse webhooks and model servers on private addresses."""


def exposures(url: str, token: str, timeout: float = 10.0) -> list[tuple[str, str]]:
    """What is unsafe about the server at `url`: (what is wrong, what to do about it).

    Raises `LabelStudioError` when it is not there or refuses the token.
    """
    release = str(read(url, token, "/api/version/", timeout).get("release", ""))
    found = []
    if _numbers(release) < SAFE_VERSION:
        wanted = ".".join(map(str, SAFE_VERSION))
        found.append(
            (
                f"version {release or 'unknown'} is old: webhooks may reach private addresses",
                f"install {wanted} or newer",
            )
        )
    if _sign_up_is_open(url, timeout):
        found.append(
            (
                "anybody who reaches it can sign up",
                "start it with LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true",
            )
        )
    if is_loopback(url) and _answers_outside(httpx.URL(url).port or 80):
        found.append(("other machines can reach it", "start it with --internal-host 127.0.0.1"))
    return found


def _numbers(release: str) -> tuple[int, ...]:
    """``1.23.2`` as (1, 23, 2); what is no release counts as very old."""
    found = re.match(r"\d+(\.\d+)*", release)
    return tuple(map(int, found[0].split("."))) if found else ()


def _sign_up_is_open(url: str, timeout: float) -> bool:
    """Whether a form without an invitation is looked at. It names nobody, so no user comes of it."""
    page = f"{url}/user/signup/"
    try:
        with httpx.Client(timeout=timeout, trust_env=not is_loopback(url)) as client:
            client.get(page)
            form = {"csrfmiddlewaretoken": client.cookies.get("csrftoken", ""), "email": "", "password": ""}
            return client.post(page, data=form, headers={"Referer": page}).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _answers_outside(port: int) -> bool:
    """Whether `port` of this machine answers on the address other machines know it by."""
    try:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing; asks which of our addresses would be used
            address = probe.getsockname()[0]
        if address.startswith("127."):
            return False
        with closing(socket.create_connection((address, port), timeout=1)):
            return True
    except OSError:
        return False
