"""A TensorBoard view of ablations: HParams with one row per arm, mean curves, and charts with intervals.

It is written beside the trials' own event files, without TensorFlow and torch, and can be written again at any time.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitcli.records.ablation import ABLATION, Ablation
from vitcli.records.arm import Arm
from vitcli.records.trial import RESULT, Trial
from vitcli.report import numbers
from vitcli.report.summary import Row, speed_of, summarise
from vitcli.report.summary import Summary as ReportSummary
from vitcli.report.tensorboard.events import delete_own, scalars, write_events
from vitcli.report.tensorboard.factors import ABSENT, Factor, factors
from vitcli.report.tensorboard.means import Charts, layout, write_means
from vitcli.report.tensorboard.pages import page_summaries

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary


def write_summary_view(ablation: Ablation, summary: ReportSummary) -> None:
    """Write or refresh the view of one ablation, for ``tensorboard --logdir runs/<name>``."""
    _write_view(ablation.directory, [ablation], [summary])


def write_collection_view(parent: str | Path, ablations: Sequence[Ablation]) -> None:
    """Write or refresh one view of several ablations, for ``tensorboard --logdir runs``.

    TensorBoard shows the columns of one experiment only, whichever it finds first. Therefore the parent gets the columns of
    all ablations, and the ablations get none of their own.

    Args:
        parent: A directory above the directories of all ablations.
        ablations: What is shown.
    """
    _write_view(Path(parent), ablations, [summarise(ablation) for ablation in ablations])


def _write_view(root: Path, ablations: Sequence[Ablation], reports: Sequence[ReportSummary]) -> None:
    delete_own(root)
    table = factors(ablations)
    for ablation, report in zip(ablations, reports, strict=True):
        for row in report.rows:
            table[ablation.name, row.arm] |= _conclusions(report, row)
    charts: list[tuple[Ablation, Charts]] = []
    for ablation in ablations:
        for arm in ablation.arms:
            for trial in arm.trials:
                if trial.status in ("done", "failed", "not finite", "no metric"):
                    # Not the arm's label: the column shows 16 letters. Arms of the same name in two ablations must not be
                    # averaged together.
                    group = arm.name if len(ablations) == 1 else f"{arm.name} ({ablation.name})"
                    _write_session(ablation, arm, trial, table[ablation.name, arm.name], group)
        charts.append((ablation, write_means(ablation)))
    written = [(0, _experiment(ablations, list(table.values())))]
    for ablation, report in zip(ablations, reports, strict=True):
        written += page_summaries(ablation, report, f"{ablation.name}/" if len(ablations) > 1 else "")
    if any(found for _, found in charts):
        written.append((0, layout(charts)))
    write_events(root, written, _wall_time(ablations))


def _experiment(ablations: Sequence[Ablation], rows: Sequence[Mapping[str, Factor]]) -> "Summary":
    from tensorboard.plugins.hparams.summary_v2 import Discrete, HParam, Metric, hparams_config_pb

    names = dict.fromkeys(name for row in rows for name in row)
    domains = {name: dict.fromkeys(row[name] for row in rows if name in row) for name in names}
    metrics = dict.fromkeys(ablation.metric.name for ablation in ablations)
    metrics |= dict.fromkeys(name for ablation in ablations for name in ablation.metric_names)
    metrics |= dict.fromkeys(_COST if any(ablation.speed for ablation in ablations) else _COST[:-1])
    return hparams_config_pb(
        [HParam(name, Discrete(values)) for name, values in domains.items()],
        [Metric(name, display_name=name) for name in metrics],
        time_created_secs=_wall_time(ablations),
    )


_COST = ("cost/parameters", "cost/gmacs", "cost/train_seconds", "cost/latency_ms")
"""The last one only where it was measured."""


def _conclusions(report: ReportSummary, row: Row) -> dict[str, Factor]:
    """Return what the report says of an arm, as the first columns of TensorBoard's table, which sorts them by their names."""
    decimals = numbers.decimals(report)
    against = ABSENT if row.difference is None else numbers.short_difference(row.difference, decimals)
    mean = numbers.with_half_width(row.result, decimals)
    return {"(difference)": against, "(mean)": mean, "(verdict)": row.outcome}


def _write_session(ablation: Ablation, arm: Arm, trial: Trial, hparams: Mapping[str, Factor], group: str) -> None:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    ended = (trial.directory / RESULT).stat().st_mtime
    start = hparams_pb(dict(hparams), trial_id=group, start_time_secs=ended - trial.train_seconds)
    summaries = [(0, start), (0, _session_end(trial, ended))]
    if trial.status == "done":
        speed = speed_of(ablation, arm)
        gmacs = None if arm.macs is None else arm.macs / 1e9
        cost = (arm.parameters, gmacs, trial.train_seconds, speed.latency_ms if speed else None)
        values = dict(trial.metrics) | {
            name: value for name, value in zip(_COST, cost, strict=True) if value is not None
        }
        summaries.append((trial.epochs, scalars({tag: value for tag, value in values.items() if value == value})))
    write_events(trial.directory, summaries, ended)


def _session_end(trial: Trial, ended: float) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if trial.status == "done" else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=ended)
    described = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=end))
    return Summary(
        value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=described, tensor=metadata.NULL_TENSOR)]
    )


def _wall_time(ablations: Sequence[Ablation]) -> float:
    return max((ablation.directory / ABLATION).stat().st_mtime for ablation in ablations)
