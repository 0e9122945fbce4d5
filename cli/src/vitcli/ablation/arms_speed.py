"""speed.json: the speed and memory of every arm, measured side by side; an arm that has changed is measured again."""

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.table import Table

from vitcli.ablation.planning.first_look import look_at_section
from vitcli.ablation.planning.plan import Plan
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


def measure_file(arguments: Arguments) -> tuple[Path, dict[str, Any], str]:
    """Plan an ablation, measure its arms, and return its directory, the content of speed.json, and what was not measured.

    Raises:
        ConfigError: The input is bad, or no arm can be measured; for equal training time, an arm cannot be measured.
    """
    sections = [section for _, section in arguments.ablation_sections() if isinstance(section, dict)]
    budgets = [section["budget"] for section in sections if "budget" in section]
    timed = arguments.place if budgets[-1:] == ["training_time"] else ""
    if timed:  # the epochs of all arms follow from these measurements, so all arms are measured, with equal epochs
        arguments.overrides |= {"ablation.budget": "epochs", "ablation.only": [], "ablation.exclude": []}
    look_at_section(arguments)
    start_server()
    plan = plan_in_worker(arguments, "quick")
    try:
        plan.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{plan.directory}: the directory cannot be created ({error.strerror}); use --runs DIR."
        ) from error
    problem = measure_arms(plan, timed)
    speed = read_json(plan.directory / SPEED) or {}
    if problem and (timed or not speed):
        raise ConfigError(f"{arguments.place}: {problem}.")
    return plan.directory, speed, problem


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
        Which arms could not be measured, and why; "" if all could.
    """
    job: dict[str, Any] = {
        "configs": {arm: plan.trial_config(arm, 0) for arm in plan.spec.chosen},
        "ids": {arm: plan.arms[arm].id for arm in plan.spec.chosen},
        "baseline": plan.spec.baseline,
        "timed": timed,
        "known": measured_arms(plan.directory) or {},
    }
    log, found, problems = plan.directory / LOG, dict[str, Any](), dict[str, str]()
    log.unlink(missing_ok=True)
    while job["configs"]:
        measured, failed, ended = _measure_in_process(job, plan.places[0], log)
        problems |= failed
        if not ended:
            found = measured
            break
        del job["configs"][ended]  # the others are measured without the arm that ended the process
    if found and not (timed and problems):
        write_json(plan.directory / SPEED, found)
    if not problems:
        return ""
    return f"{'; '.join(f'{arm} could not be measured ({why})' for arm, why in problems.items())}; see {log}"


def _measure_in_process(
    job: dict[str, Any], gpus: tuple[int, ...], log: Path
) -> tuple[dict[str, Any], dict[str, str], str]:
    """Return the content of speed.json, arm -> why it cannot be measured, and the arm that ended the process, "" for none."""
    arm = next(iter(job["configs"]))
    worker = Worker(_measure, job, gpus, log)
    try:
        while isinstance(answer := worker.receive(), str):
            arm = answer
    except EOFError:
        worker.process.join()
        return {}, {arm: f"the process ended with exit code {worker.process.exitcode}"}, arm
    finally:
        worker.stop()
    found, problems = answer
    return found, problems, ""


def _measure(connection: Connection, job: dict[str, Any], gpus: tuple[int, ...], log: Path) -> None:
    """Send the name of each arm before its turn, then the content of speed.json and why arms cannot be measured."""
    set_gpus_and_log(gpus, log)
    from vitcli.measure.speed import measure

    if job["timed"]:
        connection.send(_measure_timed(**job, tell=connection.send))
    else:
        connection.send(measure(job["configs"], job["ids"], tell=connection.send))


def _measure_timed(
    configs: dict[str, dict[str, Any]],
    ids: dict[str, str],
    baseline: str,
    timed: str,
    known: dict[str, dict[str, Any]],
    tell: Callable[[str], object],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Measure the arms that are new; return all arms with the identities that follow from their speeds, {} if none is new."""
    from vitcli.ablation.planning.make_plan import timed_ids
    from vitcli.config.defaults import as_namespace
    from vitcli.config.schema import schema
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
        return {}, {}
    found, problems = measure({arm: configs[arm] for arm in new}, ids, tell=tell)
    if problems:
        return {}, problems
    arms = {arm: kept.get(arm) or found["arms"][arm] for arm in configs}
    own = ids_by_speed(arms)
    return {**found, "arms": {arm: {**one, "id": own[arm]} for arm, one in arms.items()}}, {}
