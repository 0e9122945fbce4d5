"""The table of all questions in ``ablations/README.md``, made from the files, the answers and what the papers found."""

import re
from pathlib import Path

from vitcli.ablation.planning.draft import Draft
from vitcli.ablation.planning.make_plan import question_in
from vitcli.answers.answer import Answer, answers_in, draft_of
from vitcli.config.errors import ConfigError
from vitcli.config.yaml_files import read_yaml
from vitcli.report import one_line_answer, strength

BEGIN, END = "<!-- made by vitcli answers --index -->", "<!-- end of the table -->"
HEADER = (
    "file",
    "question",
    "asked in",
    "arms x seeds x epochs",
    "answer at the small scale",
    "evidence",
    "the paper, at its size",
)
NOT_YET = "not run yet"


def write_index(folder: Path) -> Path:
    """Write the table between its two marks in ``folder/README.md``, and return the page's path.

    Raises:
        ConfigError: The page or its marks are missing.
    """
    page = folder / "README.md"
    if not page.is_file() or not {BEGIN, END} <= set(page.read_text(encoding="utf-8").splitlines()):
        raise ConfigError(f"{page}: the lines {BEGIN} and {END} are missing; the table stands between them.")
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(f"(?<={BEGIN}\n).*?(?={END})", lambda _: index(folder), text, flags=re.S), encoding="utf-8")
    return page


def index(folder: Path) -> str:
    """Return the table: a row for each ablation file, the answered ones with their answer."""
    answers, published = answers_in(folder), read_yaml(str(folder / "answers" / "published.yaml"))
    rows = [
        row(path, answers.get(path.stem), str(published.get(path.stem, ""))) for path in sorted(folder.glob("*.yaml"))
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADER, ("---",) * len(HEADER), *rows)) + "\n"


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
