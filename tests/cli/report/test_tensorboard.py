"""The view, read back through TensorBoard's own backend."""

import io
import json
import shutil
from pathlib import Path
from statistics import fmean

import pytest
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from tests.cli.ablation_directory import (
    edit_plan,
    edit_result,
    make_ablation,
    make_arms,
    make_finished_ablation,
    write_speed,
    write_trial,
)
from vitcli.records.ablation import load
from vitcli.report import summarise, write, write_collection_view, write_summary_view

STATUSES = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_ablation(tmp_path / "localvit_act")


def write_view(directory: Path) -> None:
    ablation = load(directory)
    write_summary_view(ablation, summarise(ablation))


SAID = ("(difference)", "(mean)", "(verdict)")
"""Columns of what the report says of an arm."""


class Board:
    """What TensorBoard serves for a log directory."""

    def __init__(self, logdir: Path):
        self.data = EventMultiplexer()
        self.data.AddRunsFromDirectory(str(logdir))
        self.data.Reload()
        provider = MultiplexerDataProvider(self.data, str(logdir))
        self._context = backend_context.Context(TBContext(data_provider=provider))

    def groups(self) -> list[api_pb2.SessionGroup]:
        request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=1000, allowed_statuses=STATUSES)
        return list_session_groups.Handler(RequestContext(), self._context, "", request).run().session_groups

    def rows(self) -> dict[str, api_pb2.SessionGroup]:
        rows = {group.name: group for group in self.groups()}
        assert len(rows) == len(self.groups())
        return rows

    def experiment(self) -> api_pb2.Experiment:
        request = api_pb2.GetExperimentRequest()
        return get_experiment.Handler(RequestContext(), self._context, "", request).run()

    def tags(self) -> set[str]:
        return {tag for run in self.data.Runs().values() for tag in run["tensors"]}

    def curve(self, run: str, tag: str) -> dict[int, float]:
        return {event.step: float(event.tensor_proto.float_val[0]) for event in self.data.Tensors(run, tag)}


def values(row: api_pb2.SessionGroup) -> dict[str, float]:
    return {value.name.tag: value.value for value in row.metric_values}


def test_there_is_one_row_per_arm_with_the_average_over_its_seeds(runs):
    write_view(runs)
    rows = Board(runs).rows()
    assert list(rows) == ["h_swish", "h_swish_eca", "h_swish_se4", "no_depthwise", "relu6"]
    for arm in load(runs).arms:
        assert values(rows[arm.name])["test/acc1"] == pytest.approx(fmean(arm.values("test/acc1").values()), rel=1e-6)
        assert values(rows[arm.name])["cost/parameters"] == arm.parameters
        assert values(rows[arm.name])["cost/gmacs"] == pytest.approx(arm.macs / 1e9, rel=1e-6)


def test_the_columns_are_the_factors_the_main_metric_the_others_and_the_cost(runs):
    write_view(runs)
    experiment = Board(runs).experiment()
    assert {info.name for info in experiment.hparam_infos} == {*SAID, "activation", "channel_attention", "placement"}
    assert [info.name.tag for info in experiment.metric_infos] == [
        "test/acc1", "test/acc5", "test/loss", "cost/parameters", "cost/gmacs", "cost/train_seconds",
    ]  # fmt: skip


def test_every_row_has_every_factor(runs):
    write_view(runs)
    factors = {
        arm: {name: value.string_value for name, value in row.hparams.items()}
        for arm, row in Board(runs).rows().items()
    }
    assert factors["relu6"] == {
        "(difference)": "-", "(mean)": "0.866 ± 0.015", "(verdict)": "baseline",
        "activation": "ReLU6", "channel_attention": "Identity", "placement": "middle",
    }  # fmt: skip
    assert factors["h_swish_se4"]["channel_attention"] == "SqueezeExcitation"


def test_nothing_is_called_hp_metric(runs):
    write_view(runs)
    board = Board(runs)
    assert "test/acc1" in board.tags()
    assert "hp_metric" not in board.tags()
    assert "hp_metric" not in {info.name.tag for info in board.experiment().metric_infos}


def test_a_failed_trial_is_a_failed_session_and_a_stale_one_is_none(runs):
    write_view(runs)
    rows = Board(runs).rows()
    statuses = {session.name: session.status for session in rows["h_swish"].sessions}
    assert statuses["h_swish/seed3"] == api_pb2.STATUS_FAILURE
    assert [status for name, status in statuses.items() if name != "h_swish/seed3"] == [api_pb2.STATUS_SUCCESS] * 4
    assert [session.name for session in rows["no_depthwise"].sessions] == [f"no_depthwise/seed{k}" for k in range(4)]


def test_writing_again_after_more_trials_leaves_no_duplicate_and_nothing_stale(runs):
    shutil.rmtree(runs / "relu6" / "seed4")
    write_view(runs)
    files = len(list(runs.rglob("*.vitcli")))
    write_trial(runs, "relu6", 4)
    edit_result(runs, "h_swish_eca", 0, metrics={"test/acc1": 0.5})
    edit_result(runs, "h_swish_se4", 2, id="another")
    write_view(runs)
    write_view(runs)
    rows = Board(runs).rows()
    assert {arm: len(row.sessions) for arm, row in rows.items()} == {
        "relu6": 5, "h_swish": 5, "h_swish_eca": 5, "h_swish_se4": 4, "no_depthwise": 4,
    }  # fmt: skip
    for arm in load(runs).arms:
        assert values(rows[arm.name])["test/acc1"] == pytest.approx(fmean(arm.values("test/acc1").values()), rel=1e-6)
    assert len(list(runs.rglob("*.vitcli"))) == files
    assert len(list((runs / "relu6" / "seed0").glob("*.vitcli"))) == 1


def test_the_trials_own_files_are_left_alone(runs):
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    write_view(runs)
    write_view(runs)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_an_arm_removed_from_the_plan_disappears(runs):
    write_view(runs)
    plan = json.loads((runs / "ablation.json").read_text())
    del plan["arms"]["no_depthwise"]
    (runs / "ablation.json").write_text(json.dumps(plan))
    write_view(runs)
    assert "no_depthwise" not in Board(runs).rows()
    assert not (runs / "mean" / "no_depthwise").exists()


def test_the_mean_runs_average_the_trials_curves_and_carry_the_interval(runs):
    write_view(runs)
    board = Board(runs)
    seeds = [board.curve(f"relu6/seed{k}", "val/acc1") for k in range(5)]
    mean = board.curve("mean/relu6", "val/acc1")
    assert mean.keys() == seeds[0].keys()
    assert mean[479] == pytest.approx(fmean(seed[479] for seed in seeds), rel=1e-6)
    chart = "interval/localvit_act/h_swish and relu6/val/acc1"
    lower, upper = (board.curve("mean/relu6", f"{chart}/{end}") for end in ("lower", "upper"))
    assert lower[479] < mean[479] < upper[479]
    assert (lower[479] + upper[479]) / 2 == pytest.approx(mean[479], rel=1e-6)


def test_each_chart_with_intervals_has_an_arm_beside_the_baseline_and_nothing_else(runs):
    write_view(runs)
    board = Board(runs)
    event = board.data.Tensors(".", metadata.CONFIG_SUMMARY_TAG)[0]
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    assert [group.title.split(",")[0] for group in layout.category] == ["val/acc1", "val/loss", "train/loss"]
    assert [group.closed for group in layout.category] == [False, True, True]
    tags = {run: set(found["tensors"]) for run, found in board.data.Runs().items()}
    for group in layout.category:
        # The tab shows them from the last to the first: the order of the file.
        arms = [chart.title.removesuffix(" and relu6") for chart in reversed(group.chart)]
        assert arms == ["h_swish", "h_swish_eca", "h_swish_se4", "no_depthwise"]
        for arm, chart in zip(reversed(arms), group.chart, strict=True):
            (series,) = chart.margin.series
            drawn = {series.value, series.lower, series.upper}
            assert {run for run, found in tags.items() if found & drawn} == {"mean/relu6", f"mean/{arm}"}
            assert drawn <= tags["mean/relu6"] & tags[f"mean/{arm}"]


def test_the_charts_of_two_ablations_do_not_mix_their_arms(tmp_path):
    directories = [make_finished_ablation(tmp_path / name, seeds=(0, 1)) for name in ("first", "second")]
    write_collection_view(tmp_path, [load(directory) for directory in directories])
    board = Board(tmp_path)
    runs = {run: {tag.split("/")[1] for tag in found["tensors"] if tag.startswith("interval/")}
            for run, found in board.data.Runs().items()}  # fmt: skip
    assert runs["first/mean/relu6"] == {"first"}
    assert runs["second/mean/relu6"] == {"second"}


def test_arms_of_the_same_name_in_two_ablations_are_not_averaged_together(tmp_path):
    first, second = (make_finished_ablation(tmp_path / name, seeds=(0, 1)) for name in ("first", "second"))
    for seed in (0, 1):
        edit_result(second, "relu6", seed, metrics={"test/acc1": 0.1, "test/extra": 2.0})
    write_collection_view(tmp_path, [load(first), load(second)])
    board = Board(tmp_path)
    found = {group.name: values(group) for group in board.groups()}
    assert len(found) == 10
    assert found["relu6 (second)"]["test/acc1"] == pytest.approx(0.1)
    assert found["relu6 (first)"]["test/acc1"] > 0.8
    assert "test/extra" in {info.name.tag for info in board.experiment().metric_infos}


def test_the_factors_of_a_design_are_columns_and_an_arm_beside_them_has_a_dash(tmp_path):
    names = {"relu-none": ("relu", "none"), "gelu-none": ("gelu", "none"), "gelu-se": ("gelu", "se")}
    levels = {arm: {"activation": one, "attention": other} for arm, (one, other) in names.items()}
    make_arms(tmp_path, [*levels, "beside"], 2, levels=levels)
    write_view(tmp_path)
    board = Board(tmp_path)
    assert {info.name for info in board.experiment().hparam_infos} == {*SAID, "activation", "attention"}
    found = {arm: [row.hparams[name].string_value for name in levels["gelu-se"]] for arm, row in board.rows().items()}
    assert found == {**{arm: list(pair) for arm, pair in names.items()}, "beside": ["-", "-"]}


def test_a_resolved_key_with_a_factors_name_gives_way_to_the_factor(runs):
    edit_plan(runs, levels={arm.name: {"activation": f"level of {arm.name}"} for arm in load(runs).arms})
    write_view(runs)
    rows = Board(runs).rows()
    assert rows["h_swish"].hparams["activation"].string_value == "level of h_swish"
    assert set(rows["h_swish"].hparams) == {*SAID, "activation", "channel_attention", "placement"}


def test_the_report_is_there_as_text_without_its_figures(runs):
    write(runs)
    write_view(runs)
    (event,) = Board(runs).data.Tensors(".", "report")
    text = event.tensor_proto.string_val[0].decode()
    assert text.startswith("# localvit_act\n")
    assert "| h_swish_se4 | 5 |" in text
    assert "![" not in text


def test_the_figures_are_there_as_images_of_their_size(runs):
    write(runs)
    write_view(runs)
    board = Board(runs)
    for name in ("arms", "differences", "cost", "curves"):
        (event,) = board.data.Tensors(".", f"figures/{name}")
        width, height, png = event.tensor_proto.string_val
        with Image.open(io.BytesIO(png)) as shown, Image.open(runs / f"{name}.png") as drawn:
            assert shown.width == 960 < drawn.width
            assert shown.height == pytest.approx(drawn.height * shown.width / drawn.width, abs=1)
        assert (int(width), int(height)) == (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))


def test_pages_of_two_ablations_have_different_tags(tmp_path):
    directories = [make_finished_ablation(tmp_path / name, seeds=(0, 1)) for name in ("first", "second")]
    write_collection_view(tmp_path, [load(directory) for directory in directories])
    assert {"first/report", "second/report"} <= set(Board(tmp_path).data.Runs()["."]["tensors"])


def test_latency_is_a_column_where_it_was_measured(runs):
    write_speed(runs)
    write_view(runs)
    board = Board(runs)
    assert board.experiment().metric_infos[-1].name.tag == "cost/latency_ms"
    assert values(board.rows()["h_swish"])["cost/latency_ms"] == pytest.approx(5.25)
