"""TensorBoard runs called mean/<arm>: each curve averaged over the seeds, and a layout that draws its interval."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vitcli.records.ablation import ABLATION, MEANS, Ablation
from vitcli.records.metrics import read_arm_series
from vitcli.report.tensorboard.events import scalars, write_events
from vitcli.statistics.curves import Curve, mean_curves

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary


def write_means(ablation: Ablation) -> list[str]:
    """Write ``<ablation>/mean/<arm>`` for every arm that has curves, and return the curves' tags.

    Each mean is written twice. It has the tag of its trials (``val/acc1``), so that the Time Series tab draws all arms in one
    chart. It also has a tag of its own beside the ends of its interval (``interval/val/acc1/...``), so that the charts with
    intervals do not include the trials, which have none.
    """
    wall_time = (ablation.directory / ABLATION).stat().st_mtime
    tags: dict[str, None] = {}
    for arm in ablation.arms:
        curves = mean_curves(read_arm_series(arm, "step"))
        events = [event for tag, curve in curves.items() for event in _events(tag, curve)]
        if events:
            directory = ablation.directory / MEANS / arm.name
            write_events(directory, sorted(events, key=lambda event: event[0]), wall_time)
        tags |= dict.fromkeys(curves)
    return list(tags)


def _interval_tags(tag: str) -> tuple[str, str, str]:
    return f"interval/{tag}/mean", f"interval/{tag}/lower", f"interval/{tag}/upper"


def _events(tag: str, curve: Curve) -> "Iterable[tuple[int, Summary]]":
    tags = (tag, *_interval_tags(tag))
    for step, *values in zip(curve.x, curve.mean, curve.mean, *curve.band, strict=True):
        yield int(step), scalars(dict(zip(tags, map(float, values), strict=True)))


def layout(tags: Iterable[str]) -> "Summary":
    """Return the layout of the Custom Scalars tab: one chart per tag, the mean of every arm with its interval as a band."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    charts = []
    for tag in reversed(list(tags)):  # TensorBoard shows the last one first.
        mean, lower, upper = _interval_tags(tag)
        series = layout_pb2.MarginChartContent.Series(value=mean, lower=lower, upper=upper)
        charts.append(layout_pb2.Chart(title=tag, margin=layout_pb2.MarginChartContent(series=[series])))
    category = layout_pb2.Category(title="Mean over seeds with 95 % t-interval", chart=charts)
    content = TensorProto(dtype="DT_STRING", string_val=[layout_pb2.Layout(category=[category]).SerializeToString()])
    described = metadata.create_summary_metadata()
    return Summary(value=[Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, metadata=described, tensor=content)])
