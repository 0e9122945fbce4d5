"""speed.json: the speed and memory of every arm, measured side by side; measured again when an arm has changed."""

import os
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vitcli.ablation.planned import Plan
from vitcli.ablation.worker import Worker
from vitcli.json_files import read_json, write_json

SPEED = "speed.json"
LOG = "speed.log"


def is_measured(plan: Plan) -> bool:
    """Whether every chosen arm was measured as it is now."""
    known = (read_json(plan.directory / SPEED) or {}).get("arms", {})
    return all(known.get(arm, {}).get("id") == plan.arms[arm].id for arm in plan.spec.chosen)


def measure_arms(plan: Plan) -> str:
    """Measure the chosen arms in a process of their own, on the GPUs of one trial, and write speed.json.

    Returns:
        Why they could not be measured; "" if they were.
    """
    configs = {arm: plan.trial_config(arm, 0) for arm in plan.spec.chosen}
    ids = {arm: plan.arms[arm].id for arm in configs}
    worker = Worker(_measure, configs, ids, plan.places[0], plan.directory / LOG)
    try:
        found: dict[str, Any] | str = worker.receive()
    except EOFError:
        worker.process.join()
        found = f"the process ended with exit code {worker.process.exitcode}"
    finally:
        worker.stop()
    if isinstance(found, str):
        return f"{found}; see {plan.directory / LOG}"
    write_json(plan.directory / SPEED, found)
    return ""


def _measure(
    connection: Connection, configs: dict[str, dict[str, Any]], ids: dict[str, str], gpus: tuple[int, ...], log: Path
) -> None:
    from vitcli.ablation.worker import visible

    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    from vitcli.speed import measure

    try:
        connection.send(measure(configs, ids))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        connection.send(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
