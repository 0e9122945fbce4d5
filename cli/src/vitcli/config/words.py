"""Words of a command line that several commands understand."""

from collections.abc import Sequence

from vitcli.config.errors import ConfigError


def take_format(words: list[str], forms: Sequence[str]) -> str:
    """Take ``--format FORM`` out of the words and return the form; the first one if it is not there.

    Raises:
        ConfigError: There is no such form.
    """
    if "--format" not in words:
        return forms[0]
    at = words.index("--format")
    form = words[at + 1] if at + 1 < len(words) else ""
    del words[at : at + 2]
    if form not in forms:
        raise ConfigError(f"command line: --format is {form!r}; expected {', '.join(forms)}.")
    return form
