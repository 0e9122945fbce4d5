"""TensorBoard runs called mean/<arm>: each curve averaged over the seeds, and charts that draw its interval."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from vitcli.records.ablation import ABLATION, MEANS, Ablation
from vitcli.records.metrics import read_arm_series
from vitcli.report.tensorboard.events import scalars, write_events
from vitcli.statistics.curves import Curve, mean_curves

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.custom_scalar.layout_pb2 import Category

Charts = Mapping[str, Sequence[tuple[str, ...]]]
"""Tag of a curve -> the arms of each chart with intervals that shows it."""

BANDS = "mean over the seeds with its 95 % t-interval"


def write_means(ablation: Ablation) -> Charts:
    """Write ``<ablation>/mean/<arm>`` for every arm that has curves, and return the charts with intervals.

    A mean has the tag of its trials (``val/acc1``), so that the Time Series tab draws all arms in one chart. It is written again
    beside the ends of its interval, with tags of each chart that shows it.
    """
    wall_time = (ablation.directory / ABLATION).stat().st_mtime
    curves = {arm.name: mean_curves(read_arm_series(arm, "step")) for arm in ablation.arms}
    charts = _charts(ablation, curves)
    for arm, found in curves.items():
        events = [
            event
            for tag, curve in found.items()
            for event in _events(curve, tag, [_interval(ablation, tag, chart) for chart in charts[tag] if arm in chart])
        ]
        if events:
            write_events(ablation.directory / MEANS / arm, sorted(events, key=lambda event: event[0]), wall_time)
    return charts


def _charts(ablation: Ablation, curves: Mapping[str, Mapping[str, Curve]]) -> Charts:
    """Return a chart for each arm, with the baseline beside it: the bands of more than two arms would hide each other."""
    tags = {tag for found in curves.values() for tag in found}
    charts = {}
    for tag in sorted(tags, key=lambda tag: (tag.startswith("train/"), tag)):
        arms = [arm for arm, found in curves.items() if tag in found]
        baseline = (ablation.baseline,) if ablation.baseline in arms else ()
        charts[tag] = [(arm, *baseline) for arm in arms if arm != ablation.baseline] or [baseline]
    return charts


def _interval(ablation: Ablation, tag: str, chart: Sequence[str]) -> tuple[str, str, str]:
    """Return the tags of the mean and of the ends of its interval."""
    start = f"interval/{ablation.name}/{' and '.join(chart)}/{tag}"
    return f"{start}/mean", f"{start}/lower", f"{start}/upper"


def _events(curve: Curve, tag: str, intervals: Iterable[tuple[str, str, str]]) -> "Iterable[tuple[int, Summary]]":
    tags = list(intervals)
    for step, mean, low, high in zip(curve.x, curve.mean, *curve.band, strict=True):
        ends = {name: float(value) for names in tags for name, value in zip(names, (mean, low, high), strict=True)}
        yield int(step), scalars({tag: float(mean), **ends})


def layout(charts: Sequence[tuple[Ablation, Charts]]) -> "Summary":
    """Return the layout of the Custom Scalars tab: a group of charts for each curve, of which the first is open."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    groups = [
        _group(ablation, tag, found[tag], f"{ablation.name}: {tag}" if len(charts) > 1 else tag)
        for ablation, found in charts
        for tag in found
    ]
    for group in groups[1:]:
        group.closed = True
    content = TensorProto(dtype="DT_STRING", string_val=[layout_pb2.Layout(category=groups).SerializeToString()])
    described = metadata.create_summary_metadata()
    return Summary(value=[Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, metadata=described, tensor=content)])


def _group(ablation: Ablation, tag: str, charts: Iterable[tuple[str, ...]], title: str) -> "Category":
    from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, MarginChartContent

    found = []
    for arms in charts:
        value, lower, upper = _interval(ablation, tag, arms)
        series = MarginChartContent.Series(value=value, lower=lower, upper=upper)
        found.append(Chart(title=" and ".join(arms), margin=MarginChartContent(series=[series])))
    # TensorBoard shows the last chart first.
    return Category(title=f"{title}, {BANDS}", chart=found[::-1])
