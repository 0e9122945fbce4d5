"""Checks before the first trial: arms that change nothing, debug runs, the metric, and a rehearsal of every arm."""
