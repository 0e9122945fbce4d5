"""Settings of the trainer with which a trial would count as done although nothing was trained or tested, or could not train."""

from typing import Any

from vitcli.config.errors import ConfigError

DEBUGGING = ("fast_dev_run", "overfit_batches", "barebones")
"""Settings for debugging, in which Lightning trains on a few batches or records nothing."""

NEEDED = ("max_epochs", "max_steps", "limit_train_batches", "limit_test_batches")
"""Settings with which nothing is trained or tested if they are 0; a training may go without validation."""


def refuse_debug_run(trainer: dict[str, Any], place: str) -> None:
    """Stop if a trial with these settings would be no training, or no test.

    Args:
        trainer: The trainer's complete settings.
        place: The arm, for the message.

    Raises:
        ConfigError: A setting is for debugging, or nothing would be trained or tested.
    """
    for name in DEBUGGING:
        if trainer[name]:
            raise ConfigError(
                f"{place}: trainer.{name} is {trainer[name]!r}, which is for debugging; its result would count as the arm's, "
                "so remove it, or try it in a file without an ablation section."
            )
    for name in NEEDED:
        if trainer[name] is not None and trainer[name] == 0:
            what = "tested" if name == "limit_test_batches" else "trained"
            raise ConfigError(f"{place}: trainer.{name} is 0, so that nothing would be {what}; expected at least 1.")
