"""How many steps an epoch has, for estimates."""

import math
from typing import Any

from vitcli.measure.cost import build


def epoch_steps(config: dict[str, Any]) -> int | None:
    """Return how many training batches a trial sees in an epoch; None if that cannot be found out without a training.

    Nothing is downloaded for it: a data module whose data are not there has no answer.
    """
    try:
        _, data = build(config, "cpu")
        data.setup("fit")
        batches = len(data.train_dataloader())
    except Exception:  # an estimate is no reason to refuse a plan
        return None
    limit = config["trainer"]["limit_train_batches"]
    if limit is None:
        return batches
    return min(batches, limit) if isinstance(limit, int) else math.floor(batches * limit)
