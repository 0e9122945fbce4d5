"""speed.json: the speed and memory of every arm, measured side by side; an arm that has changed is measured again."""

import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.table import Table

from vitcli.ablation.planned import Plan
from vitcli.ablation.worker import Worker, plan_in_worker, set_gpus_and_log, start_server
from vitcli.config.command_line import Arguments
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import read_json, write_json
from vitcli.records.speed import SPEED, measured_arms

LOG = "speed.log"
COLUMNS = {
    "train_images_per_second": ("training images/s", "{:,.0f}", 1.0),
    "inference_images_per_second": ("inference images/s", "{:,.0f}", 1.0),
    "latency_ms": ("latency ms", "{:.2f}", 1.0),
    "peak_memory_bytes": ("peak MB of a step", "{:,.0f}", 1e-6),
}
"""Key in speed.json -> heading, format and factor of a column."""


def measure_file(arguments: Arguments) -> tuple[Path, dict[str, Any]]:
    """Plan an ablation, measure its arms, and return its directory and the content of speed.json.

    Raises:
        ConfigError: The input is bad, or an arm cannot be measured.
    """
    sections = [section for _, section in arguments.ablation_sections() if isinstance(section, dict)]
    budgets = [section["budget"] for section in sections if "budget" in section]
    timed = arguments.place if budgets[-1:] == ["training_time"] else ""
    if timed:  # the epochs of all arms follow from these measurements, so all arms are measured, with equal epochs
        arguments.overrides |= {"ablation.budget": "epochs", "ablation.only": [], "ablation.exclude": []}
    start_server()
    plan = plan_in_worker(arguments, "quick")
    try:
        plan.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{plan.directory}: the directory cannot be created ({error.strerror}); use --runs DIR."
        ) from error
    if problem := measure_arms(plan, timed):
        raise ConfigError(f"{arguments.place}: the arms cannot be measured: {problem}.")
    return plan.directory, read_json(plan.directory / SPEED) or {}


def speed_table(speed: dict[str, Any]) -> Table:
    """Return a table of the content of speed.json with one row for each arm."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("arm")
    for heading, _, _ in COLUMNS.values():
        table.add_column(heading, justify="right")
    for arm, numbers in speed["arms"].items():
        table.add_row(arm, *(form.format(numbers[key] * factor) for key, (_, form, factor) in COLUMNS.items()))
    return table


def speed_conditions(speed: dict[str, Any]) -> str:
    """Return a sentence about the conditions of the measurement."""
    return (
        f"{speed['device']}, {speed['threads']} threads, batches of {speed['batch_size']}, precision {speed['precision']}, "
        f"medians of {speed['rounds']} interleaved rounds."
    )


def is_measured(plan: Plan) -> bool:
    """Whether every chosen arm has been measured with its present configuration."""
    known = measured_arms(plan.directory) or {}
    return all(known.get(arm, {}).get("id") == plan.arms[arm].id for arm in plan.spec.chosen)


def measure_arms(plan: Plan, timed: str = "") -> str:
    """Measure the chosen arms in a process of their own, on the GPUs of one trial, and write speed.json.

    Args:
        plan: The ablation, with equal epochs.
        timed: The ablation's file if its budget is training time; then the epochs follow from the measurement. Arms that were
            measured before keep their numbers, so that their epochs do not change and their finished trials remain valid.

    Returns:
        The reason if they could not be measured, else "".
    """
    job = {
        "configs": {arm: plan.trial_config(arm, 0) for arm in plan.spec.chosen},
        "ids": {arm: plan.arms[arm].id for arm in plan.spec.chosen},
        "baseline": plan.spec.baseline,
        "timed": timed,
        "known": measured_arms(plan.directory) or {},
    }
    worker = Worker(_measure, job, plan.places[0], plan.directory / LOG)
    try:
        found: dict[str, Any] | str = worker.receive()
    except EOFError:
        worker.process.join()
        found = f"the process ended with exit code {worker.process.exitcode}"
    finally:
        worker.stop()
    if isinstance(found, str):
        return f"{found}; see {plan.directory / LOG}"
    if found:
        write_json(plan.directory / SPEED, found)
    return ""


def _measure(connection: Connection, job: dict[str, Any], gpus: tuple[int, ...], log: Path) -> None:
    """Measure and send the content of speed.json, or the reason why that is not possible."""
    log.unlink(missing_ok=True)
    set_gpus_and_log(gpus, log)
    from vitcli.measure.speed import measure

    try:
        connection.send(_measure_timed(**job) if job["timed"] else measure(job["configs"], job["ids"]))
    except (
        Exception
    ) as error:  # an arm's own code may raise anything; the log gets the traceback, the user the sentence
        traceback.print_exc()
        sys.stderr.flush()
        connection.send(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _measure_timed(
    configs: dict[str, dict[str, Any]], ids: dict[str, str], baseline: str, timed: str, known: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Measure the arms that are new; return all arms with the identities that follow from their speeds, {} if none is new."""
    from vitcli.ablation.plan import timed_ids
    from vitcli.config.defaults import as_namespace
    from vitcli.config.lightning_cli import schema
    from vitcli.measure.speed import measure

    for config in configs.values():
        as_namespace(config, schema())  # imports the classes, whose code is part of an identity

    def ids_by_speed(arms: dict[str, dict[str, Any]]) -> dict[str, str]:
        seconds = {arm: 1 / one["train_images_per_second"] for arm, one in arms.items()}
        return timed_ids({arm: configs[arm] for arm in arms}, baseline, seconds, timed)

    kept = {arm: one for arm, one in known.items() if arm in configs}
    now = ids_by_speed(kept) if baseline in kept else {}
    kept = {arm: one for arm, one in kept.items() if one.get("id") == now.get(arm)} if now else {}
    kept = kept if baseline in kept else {}
    new = [arm for arm in configs if arm not in kept]
    if not new:
        return {}
    found = measure({arm: configs[arm] for arm in new}, ids)
    arms = {arm: kept.get(arm) or found["arms"][arm] for arm in configs}
    own = ids_by_speed(arms)
    return {**found, "arms": {arm: {**one, "id": own[arm]} for arm, one in arms.items()}}
