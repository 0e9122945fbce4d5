"""speed.json: the speed and memory of every arm, measured side by side; measured again when an arm has changed."""

import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vitcli.ablation.planned import Plan
from vitcli.ablation.worker import Worker, settle
from vitcli.records.json_files import write_json
from vitcli.records.speed import SPEED, measured_arms

LOG = "speed.log"


def is_measured(plan: Plan) -> bool:
    """Whether every chosen arm was measured as it is now."""
    known = measured_arms(plan.directory) or {}
    return all(known.get(arm, {}).get("id") == plan.arms[arm].id for arm in plan.spec.chosen)


def measure_arms(plan: Plan, timed: str = "") -> str:
    """Measure the chosen arms in a process of their own, on the GPUs of one trial, and write speed.json.

    Args:
        plan: The ablation, its arms under equal epochs.
        timed: The ablation's file if its budget is training time; then the epochs follow from what is measured. An arm that was
            measured before keeps its numbers, so that its epochs, and with them its finished trials, stay what they are.

    Returns:
        Why they could not be measured; "" if they were.
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
    log.unlink(missing_ok=True)
    settle(gpus, log)
    from vitcli.measure.speed import measure

    try:
        connection.send(_measure_timed(**job) if job["timed"] else measure(job["configs"], job["ids"]))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        connection.send(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _measure_timed(
    configs: dict[str, dict[str, Any]], ids: dict[str, str], baseline: str, timed: str, known: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Measure the arms that are new, and return all under the identities of equal training time; nothing if none is new."""
    from vitcli.ablation.plan import timed_ids
    from vitcli.measure.speed import measure

    def identified(arms: dict[str, dict[str, Any]]) -> dict[str, str]:
        seconds = {arm: 1 / one["train_images_per_second"] for arm, one in arms.items()}
        return timed_ids({arm: configs[arm] for arm in arms}, baseline, seconds, timed)

    kept = {arm: one for arm, one in known.items() if arm in configs}
    now = identified(kept) if baseline in kept else {}
    kept = {arm: one for arm, one in kept.items() if one.get("id") == now.get(arm)} if now else {}
    kept = kept if baseline in kept else {}
    new = [arm for arm in configs if arm not in kept]
    if not new:
        return {}
    found = measure({arm: configs[arm] for arm in new}, ids)
    arms = {arm: kept.get(arm) or found["arms"][arm] for arm in configs}
    own = identified(arms)
    return {**found, "arms": {arm: {**one, "id": own[arm]} for arm, one in arms.items()}}
