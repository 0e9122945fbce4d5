"""The command ``vitcli``: one table of all commands. Each command imports only what it needs."""

import pkgutil
import sys
from typing import NamedTuple


class Command(NamedTuple):
    """One command.

    Args:
        function: Where it is, as ``module:function`` below ``vitcli.commands``.
        usage: The words that follow its name.
        help: What it does, in one line.
    """

    function: str
    usage: str
    help: str


COMMANDS = {
    "fit": Command(
        "fit:main",
        "--config FILE [--config FILE ...] [--KEY VALUE ...]",
        "train every arm of the file's ablation with every seed, then write the report; see below",
    ),
    "plan": Command(
        "plan:main",
        "FILE [--format table|json]",
        "show what fit would run: arms, differences, costs, finished trials; nothing is trained",
    ),
    "speed": Command(
        "speed:main",
        "FILE",
        "measure how fast the arms train and infer on this machine, and their memory; fit does this at its end",
    ),
    "validate": Command(
        "evaluate:validate", "--config FILE --ckpt_path FILE", "score a checkpoint on the validation split"
    ),
    "test": Command("evaluate:test", "--config FILE --ckpt_path FILE", "score a checkpoint on the test split"),
    "predict": Command(
        "evaluate:predict",
        "RUN IMAGE... --out DIR | --config FILE --ckpt_path FILE",
        "name the classes of images and folders of images; or pass the probabilities of a split to the trainer's callbacks",
    ),
    "report": Command(
        "report:main",
        "DIR [--format all|terminal] [--no-figures]",
        "write the report of an ablation again, from the results that are in its directory now",
    ),
    "compare": Command(
        "compare:main",
        "DIR1 DIR2 [--format table|markdown|csv]",
        "compare the same arms in two directories, for example of two versions of the code or two machines",
    ),
    "dashboard": Command("dashboard:main", "DIR", "show an ablation or a run in TensorBoard, on this machine only"),
    "list": Command(
        "list:main",
        "[PATTERN] [--format table|markdown|json]",
        "print the models, their costs and the published numbers",
    ),
    "convert": Command(
        "convert:main",
        "MODEL FILE.pth FILE.safetensors",
        "write a public checkpoint with this project's parameter names",
    ),
    "show": Command(
        "show:main",
        "attention OP [--init.NAME VALUE ...] [--out FILE.png]",
        "draw which tokens a query sees in an op, measured by gradient",
    ),
}

SHARE_HELP = ("fit", "validate", "test", "predict")
"""Commands whose ``--help`` prints this help."""

NOTES = """\
fit skips trials that are done and continues trials that were interrupted, so the same command can be repeated. --retry failed
also repeats failed trials; --launcher slurm or --launcher ray runs the trials on a cluster. A file without an ablation section
is a single training run.

Every key of the configuration can be set on the command line by its dotted path: --trainer.max_epochs 5, --ablation.seeds 3,
--ablation.only h_swish, --model.backbone.every.feed_forward.op.activation torch.nn.GELU ("every" means stage1, stage2, ...).
--runs DIR is where results go. vitcli fit --config FILE --print_config prints every value that would be used.
"""

BAD_INPUT = 2
INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    words = sys.argv[1:] if argv is None else argv
    name, rest = (words[0], words[1:]) if words else ("", [])
    if name in ("", "-h", "--help", "help") or (name in SHARE_HELP and {"-h", "--help"} & set(rest)):
        print(help_text(), end="")
        return 0 if words else BAD_INPUT
    from vitcli.config.errors import ConfigError, nearest

    try:
        if name not in COMMANDS:
            raise ConfigError(f"command line: there is no command {name!r}{nearest(name, COMMANDS)}")
        code: int = pkgutil.resolve_name(f"vitcli.commands.{COMMANDS[name].function}")(rest)
        return code
    except ConfigError as error:
        print(f"vitcli: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        # During a run, Lightning turns Ctrl-C into an exit of its own.
        if isinstance(end.__context__, KeyboardInterrupt):
            return INTERRUPTED
        raise


def help_text() -> str:
    """Return the text of ``vitcli --help``."""
    commands = "".join(f"  {name:9}  {one.usage}\n{'':13}{one.help}\n" for name, one in COMMANDS.items())
    return f"usage: vitcli COMMAND ...\n\n{commands}\n{NOTES}"


if __name__ == "__main__":
    sys.exit(main())
