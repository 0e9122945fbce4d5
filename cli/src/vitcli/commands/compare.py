"""``vitcli compare DIR1 DIR2``: the same arms in two directories, for example of two versions of the code or two machines."""

from collections.abc import Sequence

from vitcli.config.command_line import take_format
from vitcli.config.errors import ConfigError, nearest
from vitcli.records.ablation import load
from vitcli.records.json_files import RecordError
from vitcli.report import blocks_to_terminal, compare_runs, to_markdown, two_runs_content, two_runs_csv

FORMATS = ("table", "markdown", "csv")


def main(argv: Sequence[str]) -> int:
    """Print how each common arm of the second directory differs from that of the first, seed by seed.

    Args:
        argv: Words after ``vitcli compare``: two directories, and ``--format table`` (default), ``markdown`` or ``csv``.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: There are not two directories, one cannot be read, or the two cannot be compared.
    """
    words = list(argv)
    form = take_format(words, FORMATS)
    if unknown := [word for word in words if word.startswith("-")]:
        raise ConfigError(f"command line: compare has no option {unknown[0]!r}{nearest(unknown[0], ('--format',))}")
    if len(words) != 2:
        raise ConfigError(
            "command line: compare needs two directories, for example vitcli compare runs/before runs/after."
        )
    try:
        found = compare_runs(load(words[0]), load(words[1]))
    except RecordError as error:
        raise ConfigError(str(error)) from error
    if form == "csv":
        print(two_runs_csv(found), end="")
    elif form == "markdown":
        print(to_markdown(two_runs_content(found)), end="")
    else:
        from vitcli.console import Output

        Output().print(blocks_to_terminal(two_runs_content(found)))
    return 0
