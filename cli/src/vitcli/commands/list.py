"""``vitcli list [PATTERN]``: the models with their costs, counted here, beside what was published."""

import fnmatch

from vitcli.config.command_line import take_format
from vitcli.config.errors import ConfigError, nearest
from vitcli.measure.model_list import WRITERS, read_models

USAGE = "list takes one pattern and a format, for example vitcli list 'pvt*' --format markdown."


def main(words: list[str]) -> int:
    """Print the models whose names match a pattern, all by default, and return exit code 0.

    Args:
        words: Words after ``vitcli list``.

    Raises:
        ConfigError: There is more than one pattern, an unknown option or format, or no model matches.
    """
    patterns = list(words)
    form = take_format(patterns, tuple(WRITERS))
    if len(patterns) > 1 or any(word.startswith("-") for word in patterns):
        raise ConfigError(f"command line: {USAGE}")
    models = {model.model: model for model in read_models()}
    pattern = patterns[0] if patterns else "*"
    found = [model for name, model in models.items() if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        begins = [name for name in models if name.startswith(pattern)]
        meant = f"; did you mean '{pattern}*', {len(begins)} models?" if begins else nearest(pattern, models)
        raise ConfigError(f"command line: no model is called {pattern!r}{meant}")
    for line in WRITERS[form](found):
        print(line)
    return 0
