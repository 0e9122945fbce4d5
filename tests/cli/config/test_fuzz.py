"""Whatever is written into a file or on the command line, the answer is a plan or one sentence, never a traceback."""

import contextlib
import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.tiny_ablation import LIGHTNING
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_ablation_file, parse_run
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import base_config, resolve
from vitcli.main import main
from vitcli.measure.cost import checked_cost

pytestmark = [*LIGHTNING, pytest.mark.filterwarnings("ignore")]

RUN: dict[str, Any] = {
    "model": {"class_path": "tests.cli.own_task.Segmentation", "init_args": {"width": 4, "lr": 0.1}},
    "data": {"class_path": "tests.cli.own_task.Blobs"},
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 2,
        "max_time": {"hours": 1},
        "callbacks": [{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"monitor": "x"}}],
        "logger": False,
    },
    "threads": 1,
    "runs": "runs",
}
ARMS = {"a": {}, "b": {"model.lr": 0.2}, "c": {"model.width": 8}}
FACTORS = {"w": {"1": {}, "2": {"model.width": 8}}, "l": {"x": {}, "y": {"model.lr": 0.2}}}
METRIC = {"name": "test/pixels", "direction": "max"}
DOCUMENTS = [
    {"ablation": {"baseline": "a", "seeds": {"baseline": 3, "arms": 2}, "metric": METRIC, "arms": ARMS}, **RUN},
    {"ablation": {"baseline": "a", "seeds": 5, "stop_early": {"after": 3}, "metric": METRIC, "arms": ARMS}, **RUN},
    {"ablation": {"factors": FACTORS, "design": "grid", "seeds": 3, "looks": [2, 3], "metric": "test/pixels"}, **RUN},
]
CLASSES = (
    *(
        "torch.nn.GELU",
        "torch.nn",
        "torch",
        "torch.relu",
        "torch.optim.SGD",
        "torch.Tensor",
        "torch.float32",
        "typing.Any",
    ),
    *(
        "os.system",
        "lightning.Trainer",
        "vitmodels.pvt_tiny",
        "tests.cli.own_task.Mapping",
        "lightning.pytorch.callbacks.Timer",
    ),
)
PARTS = (
    *(
        {"class_path": None},
        {"class_path": 1},
        {"class_path": ""},
        {"class_path": "a.b", "init_args": None},
        {"init_args": {}},
    ),
    *({"class_path": "torch.nn.Linear"}, {"class_path": "torch.nn.Linear", "init_args": []}),
    *({"class_path": "torch.nn.GELU", "init_args": {"x": 1}}, {"class_path": "torch.nn.GELU", "dict_kwargs": {"y": 2}}),
)
PLAIN = (
    *(
        None,
        True,
        False,
        -1,
        0,
        1,
        2,
        1.5,
        float("nan"),
        float("inf"),
        10**30,
        1e300,
        "",
        " ",
        ".",
        "..",
        "a",
        "a.b",
        "x" * 300,
    ),
    *([], {}, [[]], [None], [1, "a"], {"a": 1}, {"a": {"b": {}}}, {1: 2}, {None: 1}, {True: {}}, {"": 1}),
    *(
        "no.yaml",
        "..yaml",
        "x/../y.yml",
        "\u202e",
        "é",
        "~",
        "<<",
        "=",
        "[",
        "'",
        "{class_path: a.b}",
        "s3://x",
        "1:00:00",
    ),
    *("auto", "grid", "macs", "training_time", "slurm", "ray", "failed", "every", "16-mixed", "ddp", "cuda", "simple"),
)
VALUES = st.sampled_from([*PLAIN, *CLASSES, *PARTS]).map(copy.deepcopy)
KEYS = st.sampled_from(
    [
        *(
            "",
            ".",
            "..",
            "a.",
            ".a",
            "+",
            "x+",
            "every",
            "init_args",
            "class_path",
            "1",
            1,
            None,
            True,
            1.5,
            "a.b.c.d",
            "é",
        ),
        *(
            "name",
            "model",
            "model.lr",
            "model.class_path",
            "model.init_args.lr",
            "trainer.callbacks+",
            "trainer.callbacks.0",
        ),
        *(
            "arms.b",
            "arms.b.model.lr",
            "seeds.arms",
            "launcher.partition",
            "factors",
            "design",
            "looks",
            "stop_early",
            "only",
        ),
        *(
            "exclude",
            "margin",
            "budget",
            "pairing",
            "levels",
            "plugins",
            "strategy",
            "profiler",
            "ckpt_path",
            "x" * 200,
        ),
    ]
)
MARKS = (
    *(
        "!!bool ",
        "!!int ",
        "!!float ",
        "!!null ",
        "!!map ",
        "!!seq ",
        "!!set ",
        "!x ",
        "&a ",
        "*a",
        "<<: ",
        "\t",
        "\0",
        ": ",
        "- ",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        "|",
        ">",
        "%",
        "@",
        "`",
        "#",
        "\n",
        "---\n",
        "...",
        "? ",
        "0",
        "9" * 200,
        "1:30",
        "\ufeff",
    ),
)
LOOSE = (
    "--",
    "-",
    "---",
    "--=",
    "=x",
    "--x=",
    "--.",
    "--c",
    "-h",
    "--help",
    "--print_config",
    "--config",
    "\udcff",
    "--\udcff",
    "'",
)
LONG = (
    *(
        "model",
        "model.lr",
        "model.activation",
        "data",
        "trainer.callbacks",
        "trainer.callbacks+",
        "trainer.logger",
        "threads",
    ),
    *(
        "trainer.plugins",
        "trainer.strategy",
        "trainer.precision",
        "trainer.devices",
        "trainer.max_epochs",
        "trainer.max_steps",
    ),
    *(
        "trainer.max_time",
        "trainer.limit_train_batches",
        "trainer",
        "runs",
        "ckpt_path",
        "seed_everything",
        "ablation",
        "x",
    ),
    *(
        "ablation.seeds",
        "ablation.only",
        "ablation.arms",
        "ablation.arms.b",
        "ablation.arms.d",
        "ablation.arms.b.model.lr",
    ),
    *(
        "ablation.baseline",
        "ablation.metric",
        "ablation.looks",
        "ablation.stop_early",
        "ablation.factors",
        "ablation.design",
    ),
    *(
        "ablation.launcher",
        "ablation.launcher.x",
        "launcher",
        "retry",
        "ablation.workers",
        "ablation.margin",
        "ablation.budget",
    ),
)


def nodes(value: Any, above: tuple = ()) -> Iterator[tuple]:
    """Yield the way to every value in a document but the document itself."""
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield (*above, name)
        yield from nodes(inner, (*above, name))


@st.composite
def documents(draw) -> str:
    """Text of an ablation with up to three faults in its data, and sometimes one in its spelling."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(0, 3))):
        *above, last = draw(st.sampled_from(list(nodes(document))))
        node: Any = document
        for name in above:
            node = node[name]
        fault = draw(st.sampled_from(("value", "value", "gone", "key")))
        if fault == "value":
            node[last] = draw(VALUES)
        elif fault == "key" and isinstance(node, dict):
            node[draw(KEYS)] = draw(VALUES)
        else:
            del node[last]
        if not document:
            break
    text = yaml.safe_dump(document, allow_unicode=draw(st.booleans()), sort_keys=False)
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(MARKS)) + text[at + draw(st.sampled_from((0, 0, 1, 5))) :]
    return text


@st.composite
def options(draw) -> list[str]:
    """Words of a command line: mostly keys with values."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.lists(st.sampled_from([*LOOSE, *(f"--{key}" for key in LONG)]), max_size=3))
    keys = draw(st.lists(st.sampled_from(LONG), max_size=2))
    return [
        word for key in keys for word in (f"--{key}", yaml.safe_dump(draw(VALUES), default_flow_style=True).strip())
    ]


@pytest.fixture(autouse=True, scope="module")
def here(tmp_path_factory):
    with contextlib.chdir(tmp_path_factory.mktemp("fuzz")):
        yield


def check(text: str, words: list[str], kind: str) -> None:
    """Plan what a user might have written; the only exception is the one that a command prints as a sentence."""
    Path("doc.yaml").write_text(text, encoding="utf-8")
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        try:
            if kind == "plan":
                make_plan(parse_ablation_file("plan", ["doc.yaml", *words]))
            else:
                arguments = parse_run("fit", ["--config", "doc.yaml", *words])
                checked_cost(resolve(base_config(arguments), arguments.place), arguments.place)
        except ConfigError as error:
            message = str(error)
            assert message.isprintable()
            assert message.endswith((".", "?"))
    assert sorted(Path().iterdir()) == [Path("doc.yaml")]


KINDS = st.sampled_from(("plan", "plan", "run"))
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@settings(QUIET, max_examples=25)
@given(documents(), options(), KINDS)
def test_a_file_and_a_command_line_give_a_plan_or_a_sentence(text, words, kind):
    check(text, words, kind)


@pytest.mark.slow
@pytest.mark.parametrize("examples", [500, pytest.param(2000, marks=pytest.mark.exhaustive)])
def test_many_files_and_command_lines_give_a_plan_or_a_sentence(examples):
    settings(QUIET, max_examples=examples)(given(documents(), options(), KINDS)(check))()


@settings(QUIET, max_examples=60)
@given(
    st.sampled_from(("report", "compare", "list", "convert", "show", "fit", "plan", "speed", "test", "nonsense", "")),
    st.lists(
        st.sampled_from([*LOOSE, "nowhere", "x" * 300, "", "--format", "json", "attention", "--out", "--no-figures"]),
        max_size=4,
    ),
)
def test_a_command_without_its_input_says_so(command, words):
    silent = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(silent):
        code = main([command, *words])
    assert code in (0, 2)
    assert "Traceback" not in silent.getvalue()
