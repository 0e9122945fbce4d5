"""The command ``vitcli``: says which command is meant and imports only what that one needs."""

import shlex
import sys
from pathlib import Path

HELP = """\
usage: vitcli COMMAND ...

  fit        --config FILE [--config FILE ...] [--key value ...]
             run the file's whole ablation (arms x seeds) and report it; a file without an ablation section is one run;
             what is done is skipped, what was begun goes on; --retry failed, --launcher slurm or ray
  plan       FILE [--format table|json]    what fit would run: arms, differences, costs, what is done; trains nothing
  speed      FILE    measure how fast the arms train and infer here, side by side, and their memory; fit does it at its end
  validate   score a checkpoint on the validation split: --config FILE --ckpt_path FILE
  test       score a checkpoint on the test split
  predict    write nothing, return the probabilities of a split to the trainer's callbacks
  report     DIR [--format all|terminal] [--no-figures]    write the report of an ablation's directory again
  compare    DIR1 DIR2 [--format table|markdown|csv]    the same arms across code versions or machines
  dashboard  DIR    show an ablation or a run in TensorBoard, on this machine only
  list       [PATTERN] [--format table|markdown|json]    print the models, their costs and what was published
  convert    MODEL FILE.pth FILE.safetensors    write a public checkpoint under this project's names
  show       attention OP    draw which tokens a query sees in an op, measured by gradient: --init.NAME VALUE, --out FILE.png

Keys are dotted paths into the configuration: --trainer.max_epochs 5, --ablation.only h_swish, --ablation.seeds 3,
--model.backbone.every.feed_forward.op.activation torch.nn.GELU (every = all of stage1, stage2, ...), --runs DIR.
vitcli fit --config FILE --print_config shows every value in force.
"""

RUNS = ("fit", "validate", "test", "predict")
COMMANDS = (*RUNS, "plan", "speed", "report", "compare", "dashboard", "list", "convert", "show")
BAD_INPUT = 2
INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if words else BAD_INPUT
    command, rest = words[0], words[1:]
    from vitcli.config.errors import ConfigError, nearest

    try:
        if command not in COMMANDS:
            raise ConfigError(f"command line: there is no command {command!r}{nearest(command, COMMANDS)}")
        if command == "dashboard":
            from vitcli.commands.dashboard import main as dashboard

            return dashboard(rest)
        if command == "report":
            from vitcli.commands.report import main as report

            return report(rest)
        if command == "compare":
            from vitcli.commands.compare import main as compare

            return compare(rest)
        if command == "plan":
            return _plan(rest)
        if command == "speed":
            from vitcli.commands.speed import main as speed

            return speed(rest)
        if command == "list":
            from vitcli.commands.list import main as listing

            return listing(rest)
        if command == "convert":
            from vitcli.commands.convert import main as convert

            return convert(rest)
        if command == "show":
            from vitcli.commands.show import main as show

            return show(rest)
        return _run(command, rest)
    except ConfigError as error:
        print(f"vitcli: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        # Lightning turns Ctrl-C during a run into an exit of its own.
        if isinstance(end.__context__, KeyboardInterrupt):
            return INTERRUPTED
        raise


def _run(command: str, words: list[str]) -> int:
    from vitcli.config.command_line import COMMAND_LINE, parse_arguments
    from vitcli.config.errors import ConfigError

    arguments = parse_arguments(words)
    if "help" in arguments.show:
        print(HELP, end="")
        return 0
    if not arguments.files and not arguments.overrides:
        raise ConfigError(f"command line: {command} needs --config FILE.")
    places = [place for place, _ in arguments.ablation_sections()]
    if places and set(places) == {COMMAND_LINE}:
        raise ConfigError(f"{COMMAND_LINE}: ablation is set, but {arguments.place} has no ablation section.")
    if places and command != "fit":
        raise ConfigError(
            f"{places[0]}: {command} is for one trial, and this file has arms; give the trial's own configuration: "
            f"--config runs/{Path(places[0]).stem}/ARM/seed0/config.yaml."
        )
    if places and "print_config" not in arguments.show:
        from vitcli.ablation.run import run_ablation

        return run_ablation(arguments, shlex.join(["vitcli", command, *words]))
    from vitcli.training.plain_run import run

    return run(command, arguments)


def _plan(words: list[str]) -> int:
    from vitcli.ablation.show_plan import FORMS, show_plan
    from vitcli.config.command_line import parse_arguments
    from vitcli.config.errors import ConfigError
    from vitcli.config.words import take_format

    rest = list(words)
    form = take_format(rest, FORMS)
    if rest and not rest[0].startswith("-"):
        rest[:1] = ["--config", rest[0]]
    arguments = parse_arguments(rest)
    if not arguments.files:
        raise ConfigError("command line: plan needs a file, for example vitcli plan ablations/localvit_act.yaml.")
    if not arguments.ablation_sections():
        raise ConfigError(f"{arguments.place}: there is no ablation section to plan.")
    return show_plan(arguments, form)


if __name__ == "__main__":
    sys.exit(main())
