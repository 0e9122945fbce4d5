"""A trial that spans several machines of a Ray cluster."""

import socket
from typing import Any

from vitcli.ablation.launch.remote import LostError, run_remote


def run_on_nodes(job: dict[str, Any], folder: str, nodes: int, share: dict[str, Any]) -> str:
    """Run one process of a trial on each of several machines, each of which gets the address and port of the first one.

    Args:
        job: The arguments of ``run_trial``, without ``tell``.
        folder: The working directory.
        nodes: Number of machines.
        share: Resources that the trial takes on each machine, under Ray's names.

    Returns:
        How the first process ended.

    Raises:
        LostError: A process or a machine was lost; the others have been ended.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    bundle = {"CPU": share["num_cpus"], "GPU": share["num_gpus"], **share["resources"]}
    group = ray.util.placement_group([{k: v for k, v in bundle.items() if v}] * nodes, strategy="SPREAD")
    try:
        ray.get(group.ready())
        places = [PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=i) for i in range(nodes)]
        first = ray.remote(_address).options(num_cpus=0, scheduling_strategy=places[0])
        address, port = ray.get(first.remote())
        shared = {"MASTER_ADDR": address, "MASTER_PORT": str(port)} | (
            {} if share["num_gpus"] else {"CUDA_VISIBLE_DEVICES": ""}
        )
        process = ray.remote(run_remote)
        tasks = [
            process.options(**share, max_retries=0, scheduling_strategy=place).remote(
                job, folder, {**shared, "NODE_RANK": str(node)}
            )
            for node, place in enumerate(places)
        ]
        waiting = list(tasks)
        try:
            while waiting:
                ended, waiting = ray.wait(waiting)
                ray.get(ended)
        except RayError as error:
            for task in tasks:
                ray.cancel(task, force=True)
            raise LostError(f"a process of {nodes} was lost: {str(error).strip().splitlines()[-1]}") from error
        return str(ray.get(tasks[0]))
    finally:
        ray.util.remove_placement_group(group)


def _address() -> tuple[str, int]:
    """Return this machine's address and one of its free ports."""
    import ray

    with socket.socket() as one:
        one.bind(("", 0))
        return ray.util.get_node_ip_address(), one.getsockname()[1]
