"""Check whether a Label Studio server is reachable or open to people who should not have access."""

import re
import socket
from contextlib import closing

import httpx

from annotate.labelstudio.access import is_loopback, read

SAFE_VERSION = (1, 23, 1)
"""The first version whose defaults refuse webhooks and model servers on private addresses."""


def security_problems(url: str, token: str, timeout: float = 10.0) -> list[tuple[str, str]]:
    """Security problems of the server at `url`, each as (what is wrong, how to fix it).

    Raises `LabelStudioError` when the server cannot be reached or refuses the token.
    """
    release = str(read(url, token, "/api/version/", timeout).get("release", ""))
    problems = []
    match = re.match(r"\d+(\.\d+)*", release)  # without a match, it counts as very old
    version = tuple(map(int, match[0].split("."))) if match else ()
    if version < SAFE_VERSION:
        wanted = ".".join(map(str, SAFE_VERSION))
        problems.append(
            (
                f"version {release or 'unknown'} is old: webhooks may reach private addresses",
                f"install {wanted} or newer",
            )
        )
    if _sign_up_is_open(url, timeout):
        problems.append(
            (
                "anybody who reaches it can sign up",
                "start it with LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true",
            )
        )
    if is_loopback(url) and _answers_outside(httpx.URL(url).port or 80):
        problems.append(("other machines can reach it", "start it with --internal-host 127.0.0.1"))
    return problems


def _sign_up_is_open(url: str, timeout: float) -> bool:
    """Whether the server accepts a sign-up form without an invitation; the empty form creates no user."""
    page = f"{url}/user/signup/"
    try:
        with httpx.Client(timeout=timeout, trust_env=not is_loopback(url)) as client:
            client.get(page)
            form = {"csrfmiddlewaretoken": client.cookies.get("csrftoken", ""), "email": "", "password": ""}
            return client.post(page, data=form, headers={"Referer": page}).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _answers_outside(port: int) -> bool:
    """Whether `port` answers on the address under which other machines reach this one."""
    try:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing; determines the address that would be used
            address = probe.getsockname()[0]
        if address.startswith("127."):
            return False
        with closing(socket.create_connection((address, port), timeout=1)):
            return True
    except OSError:
        return False
