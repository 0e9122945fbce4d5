"""``vitcli speed FILE``: how fast the arms of an ablation train and infer on this machine, without training them."""

from rich.console import Console
from rich.table import Table

from vitcli.ablation.arms_speed import measure_arms
from vitcli.ablation.budget import SPEED
from vitcli.ablation.planned import Plan
from vitcli.ablation.worker import plan_in_worker, start_server
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import read_json

COLUMNS = {
    "train_images_per_second": ("training images/s", "{:,.0f}", 1.0),
    "inference_images_per_second": ("inference images/s", "{:,.0f}", 1.0),
    "latency_ms": ("latency ms", "{:.2f}", 1.0),
    "peak_memory_bytes": ("peak MB of a step", "{:,.0f}", 1e-6),
}


def main(words: list[str]) -> int:
    """Measure, write speed.json into the ablation's directory, print it.

    Raises:
        ConfigError: The input is bad, or an arm cannot be measured.
    """
    if words and not words[0].startswith("-"):
        words = ["--config", *words]
    arguments = parse_arguments(words)
    if not arguments.ablation_sections() or not arguments.files:
        raise ConfigError("command line: speed needs a file with an ablation, for example ablations/localvit_act.yaml.")
    sections = [section for _, section in arguments.ablation_sections() if isinstance(section, dict)]
    budgets = [section["budget"] for section in sections if "budget" in section]
    timed = arguments.place if budgets[-1:] == ["training_time"] else ""
    if timed:  # the epochs follow from what is measured here, for all arms
        arguments.overrides |= {"ablation.budget": "epochs", "ablation.only": [], "ablation.exclude": []}
    start_server()
    console = Console()
    with console.status("planning and measuring ..."):
        plan = plan_in_worker(arguments)
        try:
            plan.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{plan.directory}: it cannot be made ({error.strerror}); use --runs DIR.") from error
        problem = measure_arms(plan, timed)
    if problem:
        raise ConfigError(f"{arguments.place}: the arms cannot be measured: {problem}.")
    show(plan, console)
    return 0


def show(plan: Plan, console: Console) -> None:
    """Print what speed.json holds."""
    found = read_json(plan.directory / SPEED) or {}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("arm")
    for heading, _, _ in COLUMNS.values():
        table.add_column(heading, justify="right")
    for arm, numbers in found["arms"].items():
        table.add_row(arm, *(form.format(numbers[key] * unit) for key, (_, form, unit) in COLUMNS.items()))
    console.print(table)
    console.print(
        f"{found['device']}, {found['threads']} threads, batches of {found['batch_size']}, precision {found['precision']}, "
        f"medians of {found['rounds']} interleaved rounds. Written to {plan.directory / SPEED}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
