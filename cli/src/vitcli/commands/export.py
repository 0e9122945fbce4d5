"""``vitcli export RUN --format onnx``: write a trained model as a file for other programs."""

import sys
from pathlib import Path

from vitcli.config.command_line import COMMAND_LINE, refuse_options, take_choice, take_option
from vitcli.config.errors import ConfigError

FORMS = ("onnx", "torch_export", "safetensors", "timm")


def main(words: list[str]) -> int:
    """Write the file, compare it with the run, and return exit code 0, or 1 if it computes something else.

    Args:
        words: Words after ``vitcli export``: a run's directory, ``--format`` and, if wanted, ``--out PATH`` (by default the file
            lies in the run's directory) and ``--weights ema`` or ``--weights last``.

    Raises:
        ConfigError: The input is bad, a package is missing, or the model does not have this form.
    """
    words = list(words)
    form, out = take_choice(words, "--format", FORMS), take_option(words, "--out")
    weights = take_choice(words, "--weights", ("ema", "last"))
    refuse_options("export", words, ("--format", "--out", "--weights"))
    if form is None or len(words) != 1:
        raise ConfigError(
            f"{COMMAND_LINE}: export needs one run and --format {', '.join(FORMS)}, "
            "for example vitcli export runs/act/h_swish/seed0 --format onnx."
        )
    from vitcli.trained.export import FORMATS, export
    from vitcli.trained.load import load_run

    run = load_run(words[0], weights)  # type: ignore[arg-type]
    path = run.directory / FORMATS[form].name if out is None else Path(out)
    try:
        difference = export(run, form, path)
    except ArithmeticError as error:
        print(f"vitcli: {path}: nothing is written, since {error}.", file=sys.stderr)
        return 1
    print(f"Wrote {path}; its logits differ from the run's by {difference:.1g} of the largest.")
    return 0
