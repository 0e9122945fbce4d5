"""The command ``vitcli``. Each command imports only what it needs."""

import pkgutil
import sys
from importlib.metadata import version

from vitcli.table import COMMANDS, KEYS

NOTES = """\
vitcli COMMAND --help lists the options of a command; vitcli fit --help KEY says what can stand at a key.

fit skips trials that are done and continues trials that were interrupted, so the same command can be repeated. --retry failed
also repeats failed trials; --launcher slurm or --launcher ray runs the trials on a cluster. A file without an ablation section
is a single training run.

Every key of the configuration can be set on the command line by its dotted path: --trainer.max_epochs 5, --ablation.seeds 3,
--ablation.only h_swish, --model.backbone.every.feed_forward.op.activation torch.nn.GELU ("every" means stage1, stage2, ...).
--runs DIR is where results go. vitcli fit --config FILE --print_config prints every value that would be used.
"""

OPTIONS = ("--help", "--version")
BAD_INPUT = 2
INTERRUPTED = 130
OUTPUT_CLOSED = 141


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted, 141 output closed."""
    words = sys.argv[1:] if argv is None else argv
    name, rest = (words[0], words[1:]) if words else ("", [])
    if name in ("", "-h", "--help", "help"):
        print(help_text(), end="")
        return 0 if words else BAD_INPUT
    if name in ("--version", "version"):
        print(f"vitcli {version('vitcli')}")
        return 0
    key = _help_key(rest) if name in COMMANDS else None
    if key is not None and not (key and COMMANDS[name].reads_configuration):
        print(command_help(name), end="")
        return 0
    from vitcli.config.errors import ConfigError, nearest

    try:
        if name not in COMMANDS:
            kind, known = ("option", OPTIONS) if name.startswith("-") else ("command", COMMANDS)
            raise ConfigError(f"command line: there is no {kind} {name!r}{nearest(name, known)}")
        function = "help:main" if key else COMMANDS[name].function
        code: int = pkgutil.resolve_name(f"vitcli.commands.{function}")(rest)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except ConfigError as error:
        print(f"vitcli: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # what reads the output has ended, as in vitcli list | head -1
        from vitcli.console import discard_output

        discard_output()
        return OUTPUT_CLOSED
    except SystemExit as end:
        # During a run, Lightning turns Ctrl-C into an exit of its own.
        if isinstance(end.__context__, KeyboardInterrupt):
            return INTERRUPTED
        raise


def _help_key(words: list[str]) -> str | None:
    """Return the key after ``--help``, "" if none follows, None without ``--help``."""
    if not {"-h", "--help"} & set(words):
        return None
    at = next(number for number, word in enumerate(words) if word in ("-h", "--help"))
    after = words[at + 1] if at + 1 < len(words) else ""
    return "" if after.startswith("-") else after


def help_text() -> str:
    """Return the text of ``vitcli --help``."""
    commands = "".join(f"  {name:10}  {one.usage}\n{'':14}{one.help}\n" for name, one in COMMANDS.items())
    return f"usage: vitcli COMMAND ...\n\n{commands}\n{NOTES}"


def command_help(name: str) -> str:
    """Return the text of ``vitcli NAME --help``."""
    one = COMMANDS[name]
    width = max((len(option) for option, _ in one.options), default=0)
    options = "".join(f"  {option:{width}}  {meaning}\n" for option, meaning in one.options) + "\n" * bool(one.options)
    keys = f"{KEYS}\n\n" if one.reads_configuration else ""
    example = f"Example: {one.example}\n" if one.example else ""
    return f"usage: vitcli {name} {one.usage}\n\n{one.help}\n\n{options}{keys}{example}"


if __name__ == "__main__":
    sys.exit(main())
