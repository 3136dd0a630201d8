"""Pages as AWS gives them: never more than asked for, often fewer, with a token that means nothing to its reader."""

import base64
import binascii

from errors import Refused
from world import MAX_PAGE


def page(items, token, asked=None, invalid=("InvalidParameterException", "Invalid token.")):
    """(the page, the next token or None). `invalid` is the code and message for a token that isn't ours."""
    start = _start(token, len(items), invalid)
    end = start + min(MAX_PAGE, int(asked) if asked else MAX_PAGE)
    following = base64.urlsafe_b64encode(f"page:{end}".encode()).decode() if end < len(items) else None
    return items[start:end], following


def _start(token, count, invalid):
    if not token:
        return 0
    try:
        kind, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if kind == "page" and 0 < int(number) <= count:
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise Refused(*invalid)
