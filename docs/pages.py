"""Bring pages and pictures up to date with the code: ``make pages``.

A page says more than a docstring, so text that a person wrote on it is kept. Missing parts are drafted: a section for an op or a
launcher from its docstring, a row of a table from a first sentence. The pictures, docs/models.md, docs/api and what stands
between two marks (the columns of report.csv, the presets and the questions of a paper, the tables of answers) are made anew.
"""

import contextlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import torch

import vitcli
import vitcore
import vitmodels
import vittasks
from vitcli.ablation.planning.spec import launcher_name
from vitcli.main import main
from vitcli.measure.model_list import count_models, write_models
from vitcli.report.columns import MEANINGS
from vitcli.show.gallery import examples
from vitcli.table import COMMANDS

ROOT = Path(__file__).parents[1]
OPS, CLUSTERS, MODELS = (ROOT / "docs" / f"{name}.md" for name in ("ops", "clusters", "models"))
CORE, TASKS, CLI = (ROOT / folder / "README.md" for folder in ("packages/core", "packages/tasks", "cli"))
RESULTS, PAPERS, API = ROOT / "docs" / "results.md", ROOT / "docs" / "papers", ROOT / "docs" / "api"
ANSWERS = ROOT / "docs" / "answers.md"


def write_pages() -> None:
    """Write every page and every picture."""
    write_models(count_models(vitmodels.MODELS))
    with MODELS.open("w") as file, contextlib.redirect_stdout(file):
        main(["list", "--format", "markdown"])
    API.mkdir(exist_ok=True)
    for path, text in new_texts().items():
        path.write_text(text)
    main(["show", "attention", "--all", "--out", str(ROOT / "docs" / "ops")])
    main(["show", "attention", "--all", "--out", str(ROOT / "docs" / "attention.png")])


def new_texts() -> dict[Path, str]:
    """Return what the pages say once everything that is missing is drafted."""
    texts = {path: path.read_text() for path in (OPS, CLUSTERS, CORE, TASKS, CLI)}
    for op in ops():
        if f"\n### {op.__name__}\n" not in texts[OPS]:
            texts[OPS] = with_section(texts[OPS], op)
        if op.__name__.endswith("Attention") and f"[{op.__name__}]" not in texts[CORE]:
            texts[CORE] = with_op_row(texts[CORE], op)
    for name in vitcli.MODULES:
        word = launcher_name(f"vitcli.{name}")
        if name not in ("Launcher", "LocalLauncher") and f"--launcher {word}" not in texts[CLUSTERS]:
            section = launcher_section(word, getattr(vitcli, name))
            texts[CLUSTERS] = before(texts[CLUSTERS], "## A trial on several devices or machines\n", section)
    for name in vittasks.__all__:
        if f"`{name}`" not in texts[TASKS]:
            row = f"| `{name}` | {in_a_cell(first_sentence(getattr(vittasks, name)))} |"
            texts[TASKS] = after_last(texts[TASKS], r"^\| .+ \|$", row)
    for name, command in COMMANDS.items():
        if not re.search(rf"`(vitcli )?{name}\b", texts[CLI]):
            row = f"| `vitcli {name} {in_a_cell(command.usage)}` | {in_a_cell(command.help)} |"
            texts[CLI] = after_last(texts[CLI], r"^\| .+ \|$", row)
    texts[RESULTS] = between(RESULTS.read_text(), "columns of report.csv", column_table())
    texts[ANSWERS] = answers_page(ANSWERS.read_text())
    for path in sorted(PAPERS.glob("*.md")):
        texts[path] = paper_page(path.read_text())
    return texts | {
        API / f"{package.__name__}.md": api_page(package) for package in (vitcore, vitmodels, vittasks, vitcli)
    }


def answers_page(page: str) -> str:
    """Return the page of answers with the table of each kept answer that it quotes."""
    for path in sorted((ROOT / "ablations" / "answers").glob("*.md")):
        rows = [line for line in path.read_text().splitlines() if line.startswith("|")]
        page = between(page, f"answer of {path.stem}", "\n".join(rows) + "\n")
    return page


def between(page: str, name: str, text: str) -> str:
    """Return the page with a text between the two marks of that name."""
    begin, end = f"<!-- made by make pages: {name} -->\n", "<!-- end -->"
    return re.sub(f"(?<={re.escape(begin)}).*?(?={end})", lambda _: text, page, count=1, flags=re.S)


def column_table() -> str:
    """Return the table of the columns of report.csv."""
    rows = [f"| `{key}` | {in_a_cell(meaning)} |" for key, meaning in MEANINGS.items()]
    return "\n".join(["| column | what it holds |", "|---|---|", *rows]) + "\n"


def paper_page(page: str) -> str:
    """Return the page of a paper with the tables of its presets and its questions, which its marks name by patterns."""
    for kind, make in (("presets", preset_table), ("questions", question_table)):
        for pattern in re.findall(rf"<!-- made by make pages: {kind} (\S+) -->", page):
            page = between(page, f"{kind} {pattern}", make(pattern))
    return page


def preset_table(pattern: str) -> str:
    """Return the rows of docs/models.md whose model matches a regular expression, without the column of the paper."""
    return rows_of(MODELS, pattern, lambda row: "|".join(row.split("|")[:7] + row.split("|")[8:]))


def question_table(pattern: str) -> str:
    """Return the rows of the table in ablations/README.md whose file matches a regular expression."""
    return rows_of(ROOT / "ablations/README.md", pattern, lambda row: row.replace("](", "](../../ablations/"))


def rows_of(path: Path, pattern: str, change: Callable[[str], str]) -> str:
    """Return the first table of a page with the rows whose first cell matches a regular expression."""
    table = [line for line in path.read_text().splitlines() if line.startswith("|")]
    rows = [line for line in table[2:] if re.match(rf"\| `({pattern})` \|", line)]
    return "\n".join(map(change, [*table[:2], *rows])) + "\n"


def api_page(package: ModuleType) -> str:
    """Return the page of a package in docs/api: its public names. The models are on docs/models.md."""
    public = package.__all__ if package is not vitcli else sorted({**vitcli.MODULES, **vitcli.IN_PYTHON})
    found = {name: getattr(package, name) for name in public}
    documented = [
        f"::: {one.__module__}.{name}\n"
        for name, one in found.items()
        if (inspect.isclass(one) or inspect.isfunction(one)) and name not in vitmodels.MODELS
    ]
    first = (inspect.getdoc(package) or "").partition("\n")[0]
    return "\n".join([f"# {package.__name__}\n", f"{first}\n", *documented])


def ops() -> Iterator[type[vitcore.FeatureOp]]:
    """Yield the public ops that lie in a room, base and empty slot left out."""
    for name in vitcore.__all__:
        found = getattr(vitcore, name)
        if inspect.isclass(found) and issubclass(found, vitcore.FeatureOp) and found.__module__ != "vitcore.op":
            yield found


def with_section(page: str, op: type[vitcore.FeatureOp]) -> str:
    """Return docs/ops.md with the section of an op at the end of its room, and a link in the list of contents."""
    room = op.__module__.split(".")[-2].replace("_", " ").capitalize()
    room = "Feed-forward" if room == "Feed forward" else room
    page = re.sub(rf"(?<=^## {room}\n)(.+?)(?=^## )", lambda old: old[1] + op_section(op), page, flags=re.S | re.M)
    link = f"[{op.__name__.removesuffix('Attention')}](#{op.__name__.lower()})"
    return re.sub(rf"^  - {room}: .+?(?=\n *- )", lambda old: with_link(old[0], link), page, flags=re.S | re.M)


def with_link(item: str, link: str) -> str:
    """Return an item of the list of contents with one link more."""
    text = f"{' '.join(item.split())}, {link}"
    return textwrap.fill(text, 130, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def op_section(op: type[vitcore.FeatureOp]) -> str:
    """Return a section of docs/ops.md: pictures, description with its formula, cost, a snippet and the source."""
    name, parts = op.__name__, docstring_parts(op)
    pictures = "".join(
        f"![{' '.join([name, *example.details])}](ops/{example.file})\n" for example in examples() if example.op == name
    )
    functions = [
        f"`{one}`" for one in vitcore.__all__
        if inspect.isfunction(found := getattr(vitcore, one)) and found.__module__ == op.__module__
    ]  # fmt: skip
    texts = [
        f"### {name}",
        pictures.rstrip(),
        parts[""],
        f"Cost: {parts['Cost']}",
        op_snippet(op),
        f"Source: {parts['Source']}" + (f"\nOn tensors: {', '.join(functions)}." if functions else ""),
    ]
    return "\n\n".join(filter(None, texts)) + "\n\n"


def op_snippet(op: type[vitcore.FeatureOp]) -> str:
    """Return a snippet that applies an op with its default arguments to the grid of docs/ops.md."""
    arguments = "in_width=64, width=64" if "in_width" in inspect.signature(op).parameters else "width=64"
    with torch.random.fork_rng(devices=[]):
        macs = eval(f"op({arguments}).macs(28, 28)", {"op": op})
    lines = [
        f"from vitcore import {op.__name__}",
        "",
        f"op = {op.__name__}({arguments})",
        "assert op(grid).shape == grid.shape",
        f"assert op.macs(28, 28) == {macs:_}",
    ]
    return "\n".join(["```python", *lines, "```"])


def launcher_section(word: str, launcher: type) -> str:
    """Return a section of docs/clusters.md: what a launcher does, its command, and its options."""
    parts = docstring_parts(launcher)
    options = re.findall(r"^ *(\w[\w, ]*): (.+?)(?=^ *\w[\w, ]*: |\Z)", parts["Args"], flags=re.S | re.M)
    rows = [f"| `{names}` | {' '.join(text.split())} |" for names, text in options if names != "plan"]
    texts = [
        f"## {word.replace('_', ' ').capitalize()}",
        parts[""],
        f"```sh\nvitcli fit --config ablations/localvit_act.yaml --launcher {word}\n```",
        "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else "",
    ]
    return "\n\n".join(filter(None, texts)) + "\n\n"


def with_op_row(page: str, op: type[vitcore.FeatureOp]) -> str:
    """Return the table of packages/core/README.md with a row for an attention after those of its room."""
    seen = first_sentence(op).removeprefix("Each token attends to ").rstrip(".")
    row = f"|  | [{op.__name__}](../../docs/ops.md#{op.__name__.lower()}) | {in_a_cell(seen)} |"
    return after_last(page, rf"^\| `{op.__module__.split('.')[-2]}` .+(\n\|  \|.+)*", row)


def docstring_parts(documented: type) -> dict[str, str]:
    """Return the parts of a docstring by heading, as Markdown; the description has the heading "".

    Lines of one paragraph that hold a formula, ``$$...$$``, stay as they are; stars and double backticks are those of Markdown.
    """
    found = {"": "", "Cost": "", "Source": "", "Args": ""}
    pieces = re.split(
        r"^(Args|Attributes|Shapes|Cost|Raises|Source|Returns|Notes?):", inspect.getdoc(documented) or "", flags=re.M
    )
    for heading, text in zip(["", *pieces[1::2]], pieces[::2], strict=True):
        plain = re.sub(r"^((?!\$\$).)*$", lambda line: line[0].replace("*", r"\*"), text.strip(), flags=re.M)
        found[heading] = plain.replace("``", "`")
    return found


def first_sentence(documented: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def in_a_cell(text: str) -> str:
    """Return a text for a cell of a Markdown table, without the full stop at its end."""
    return text.rstrip(".").replace("|", r"\|").replace("``", "`")


def before(page: str, heading: str, section: str) -> str:
    """Return the page with a section in front of a heading."""
    return page.replace(heading, section + heading)


def after_last(page: str, pattern: str, row: str) -> str:
    """Return the page with a row after the last place that matches a pattern."""
    *_, last = re.finditer(pattern, page, flags=re.M)
    return f"{page[: last.end()]}\n{row}{page[last.end() :]}"


if __name__ == "__main__":
    write_pages()
