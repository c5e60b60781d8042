"""What to do when a part that tests need is not on this machine."""

import os
from typing import NoReturn

import pytest


def cannot(reason: str) -> NoReturn:
    """Fail where it must be there (CI), skip with the reason elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
