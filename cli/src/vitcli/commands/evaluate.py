"""``vitcli validate``, ``test`` and ``predict``: apply a trained checkpoint to one split of the data."""

from pathlib import Path

from vitcli.config.command_line import parse_run
from vitcli.config.errors import ConfigError


def validate(words: list[str]) -> int:
    """Score a checkpoint on the validation split."""
    return _evaluate("validate", words)


def test(words: list[str]) -> int:
    """Score a checkpoint on the test split."""
    return _evaluate("test", words)


def predict(words: list[str]) -> int:
    """Compute a checkpoint's predictions; the trainer's callbacks receive them."""
    return _evaluate("predict", words)


def _evaluate(command: str, words: list[str]) -> int:
    arguments = parse_run(command, words)
    if sections := arguments.ablation_sections():
        place = sections[0][0]
        raise ConfigError(
            f"{place}: {command} evaluates a single run, but this file describes several arms; give the configuration of one "
            f"trial: --config runs/{Path(place).stem}/ARM/seed0/config.yaml."
        )
    from vitcli.training.plain_run import run

    return run(command, arguments)
