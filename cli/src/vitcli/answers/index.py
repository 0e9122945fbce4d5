"""The tables of ``ablations/README.md``: all questions with their answers, and the papers' orders beside ours."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from vitcli.ablation.planning.draft import Draft
from vitcli.ablation.planning.make_plan import question_in
from vitcli.answers.answer import Answer, answers_in, draft_of
from vitcli.answers.published import NOT_YET, Published, order_rows, read_published
from vitcli.config.errors import ConfigError
from vitcli.report import one_line_answer, strength

BEGIN, END = "<!-- made by vitcli answers --index -->", "<!-- end of the table -->"
BEGIN_ORDERS, END_ORDERS = "<!-- orders, made by vitcli answers --index -->", "<!-- end of the orders -->"
HEADER = (
    "file",
    "question",
    "asked in",
    "arms x seeds x epochs",
    "answer at the small scale",
    "evidence",
    "the paper, at its size",
)
ORDERS_HEADER = ("question", "the paper's order", "ours, with its 95 % interval", "verdict")


def write_index(folder: Path) -> Path:
    """Write each table between its two marks in ``folder/README.md``, and return the page's path.

    Raises:
        ConfigError: The page or the marks of the table of questions are missing.
    """
    page = folder / "README.md"
    if not page.is_file() or not {BEGIN, END} <= set(page.read_text(encoding="utf-8").splitlines()):
        raise ConfigError(f"{page}: the lines {BEGIN} and {END} are missing; the table stands between them.")
    answers, published = answers_in(folder), read_published(folder)
    text = _between(page.read_text(encoding="utf-8"), BEGIN, END, index(folder, answers, published))
    orders = table(ORDERS_HEADER, order_rows(published, answers))
    page.write_text(_between(text, BEGIN_ORDERS, END_ORDERS, orders), encoding="utf-8")
    return page


def index(folder: Path, answers: Mapping[str, Answer], published: Mapping[str, Published]) -> str:
    """Return the table of questions: a row for each ablation file, the answered ones with their answer."""
    files = sorted(folder.glob("*.yaml"))
    return table(
        HEADER, [row(path, answers.get(path.stem), published.get(path.stem, Published()).found) for path in files]
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)) + "\n"


def _between(text: str, begin: str, end: str, content: str) -> str:
    return re.sub(f"(?<={begin}\n).*?(?={end})", lambda _: content, text, flags=re.S)


def row(file: Path, answer: Answer | None, published: str) -> tuple[str, ...]:
    """Return the cells of one ablation."""
    draft = draft_of(file)
    asked = (f"`{file.stem}`", question_in(str(file)), draft.spec.source, budget(draft))
    if answer is None:
        return (*asked, NOT_YET, "", published)
    changed = answer.changed_arms()
    stale = f"**stale** since {', '.join(f'`{arm}`' for arm in changed)} changed: " if changed else ""
    link = f"[{one_line_answer(answer.summary)}](answers/{file.stem}.md)"
    return (*asked, f"{stale}{link}", f"{strength(answer.summary)}, {answer.date}", published)


def budget(draft: Draft) -> str:
    """Return the numbers of arms, seeds and epochs, such as ``(8 + 4 x 5) x 13``."""
    seeds, arms = draft.spec.seeds, len(draft.spec.arms)
    epochs = draft.configs[draft.spec.baseline]["trainer"]["max_epochs"]
    if seeds.baseline == seeds.arms:
        return f"{arms} x {seeds.arms} x {epochs}"
    return f"({seeds.baseline} + {arms - 1} x {seeds.arms}) x {epochs}"
