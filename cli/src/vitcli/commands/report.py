"""``vitcli report DIR``: write the report of an ablation again, from the results that are in its directory now."""

import contextlib
from collections.abc import Sequence

from vitcli.ablation.state import now
from vitcli.config.command_line import take_format
from vitcli.config.errors import ConfigError, nearest
from vitcli.console import Output
from vitcli.records.ablation import load, record_report
from vitcli.records.json_files import RecordError
from vitcli.report import Picture, summarise, to_terminal, write_figures, write_pages

FORMATS = ("all", "terminal")
NO_FIGURES = "--no-figures"
_EXAMPLE = "for example vitcli report runs/localvit_act"


def main(argv: Sequence[str]) -> int:
    """Write report.md, report.html, report.tex, report.csv and the figures, and print the table.

    Every report is a look at the results, so that ablation.json lists it, whatever its format.

    Args:
        argv: Words after ``vitcli report``: the directory, ``--format all`` (default) or ``--format terminal`` (print the table,
            write no files), ``--no-figures`` (write the pages without figures; figures that are already there are not touched).

    Returns:
        Exit code 0.

    Raises:
        ConfigError: The words are not one directory and known options, or the directory cannot be read or written.
    """
    words = list(argv)
    form = take_format(words, FORMATS)
    figures = NO_FIGURES not in words
    words = [word for word in words if word != NO_FIGURES]
    if unknown := [word for word in words if word.startswith("-")]:
        raise ConfigError(
            f"command line: report has no option {unknown[0]!r}{nearest(unknown[0], ('--format', NO_FIGURES))}"
        )
    if len(words) != 1:
        raise ConfigError(f"command line: report needs one directory, {_EXAMPLE}.")
    try:
        ablation = load(words[0])
        with contextlib.suppress(OSError):  # a directory that cannot be written may still be read
            ablation = record_report(ablation, now())
        summary = summarise(ablation)
        Output().print(to_terminal(summary))
        if form == "all":
            pictures: list[Picture] = write_figures(ablation, summary) if figures else []
            print(f"Report: {write_pages(ablation, summary, pictures)}")
    except RecordError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"{error.filename or words[0]}: the report cannot be written ({error.strerror}); "
            "--format terminal prints the table and writes no report."
        ) from error
    return 0
