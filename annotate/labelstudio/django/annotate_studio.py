"""Django settings of the local Label Studio: its own, and no symbolic link below the media folder is served.

Label Studio's interpreter imports this file, not ours: `server.start` puts the folder on its path. Label
Studio itself follows links, so one in the media folder would show raters any file that its user may read.
"""

import os
import posixpath
from collections.abc import Callable

from core.settings import base
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound

globals().update({name: value for name, value in vars(base).items() if name.isupper()})
SENTRY_DSN = ""

# While Label Studio's own settings are imported, they already ask Django for settings, and Django reads those
# from this module: so the names above have to be defined first.
import label_studio.core.settings.label_studio as shipped  # noqa: E402

globals().update({name: value for name, value in vars(shipped).items() if name.isupper()})
MIDDLEWARE = [*shipped.MIDDLEWARE, f"{__name__}.refuse_links"]


def refuse_links(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Django middleware: a media file that is, or lies behind, a symbolic link counts as missing.

    The media folder itself may be a link.
    """
    root = os.path.realpath(shipped.LOCAL_FILES_DOCUMENT_ROOT)

    def answer(request: HttpRequest) -> HttpResponse:
        if "local-files" in request.path_info:
            # As Label Studio reads the address; where `..` leads outside, it refuses by itself.
            path = f"{root}/{posixpath.normpath(request.GET.get('d', '')).lstrip('/')}"
            if "\0" in path or os.path.realpath(path) != os.path.normpath(path):
                return HttpResponseNotFound()
        return get_response(request)

    return answer
