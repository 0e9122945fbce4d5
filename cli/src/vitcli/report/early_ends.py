"""Trainings that their configuration ended before the last epoch: what each arm trained, and that the budgets differ."""

from vitcli.records.ablation import Ablation
from vitcli.records.arm import Arm
from vitcli.report.mixed_conditions import join_words


def unequal_budget(ablation: Ablation) -> str:
    """Return a sentence with the epochs that each arm trained; empty if no training ended early."""
    used = [arm for arm in ablation.arms if arm.done]
    if not any(trial.ended_early for arm in used for trial in arm.done):
        return ""
    planned = ablation.budget.epochs if ablation.budget else {}
    epochs = join_words([f"{arm.name} {_epochs(arm)}{_of(planned.get(arm.name))}" for arm in used])
    return (
        "The budgets are unequal, because trainings ended early, as the configuration asks (EarlyStopping, max_time or "
        f"another callback). Epochs trained: {epochs}."
    )


def _epochs(arm: Arm) -> str:
    trained = sorted({trial.epochs for trial in arm.done})
    return str(trained[0]) if len(trained) == 1 else f"{trained[0]} to {trained[-1]}"


def _of(planned: int | None) -> str:
    return "" if planned is None else f" of {planned}"
