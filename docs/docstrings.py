"""How docstrings become Markdown on the pages of the API: a star stays a star, as in ``width ** 2``, instead of emphasis."""

import re
from typing import Any

from griffe import Extension, Object

CODE_OR_STAR = re.compile(r"(``.+?``|`[^`\n]+`| \* |^ *\*+\w+:)|\*", re.MULTILINE)


class PlainStars(Extension):
    """Escapes the stars of every docstring, except in code, in the name of an argument, and between spaces."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Escape the stars of one docstring."""
        if obj.docstring:
            obj.docstring.value = CODE_OR_STAR.sub(lambda found: found[1] or r"\*", obj.docstring.value)
