"""``vitcli answers``: print answers, keep that of a finished run, write the table of all questions, repeat single trials."""

import logging
from pathlib import Path

from vitcli.config.command_line import COMMAND_LINE
from vitcli.config.errors import ConfigError, nearest

OPTIONS = ("--keep", "--index", "--check", "--folder")


def main(words: list[str]) -> int:
    """Run ``vitcli answers`` and return its exit code: 1 if a repeated trial does not hold.

    Args:
        words: Words after ``vitcli answers``.

    Raises:
        ConfigError: The words are bad, or an answer is missing.
        RecordError: An answer or a directory cannot be read.
    """
    rest = list(words)
    folder = Path(_value(rest, "--folder") or "ablations")
    kept = _value(rest, "--keep")
    index, check = (_flag(rest, name) for name in ("--index", "--check"))
    if unknown := [word for word in rest if word.startswith("-")]:
        raise ConfigError(f"{COMMAND_LINE}: answers has no option {unknown[0]!r}{nearest(unknown[0], OPTIONS)}")
    if not folder.is_dir():
        raise ConfigError(
            f"{COMMAND_LINE}: there is no folder {str(folder)!r}; --folder DIR names the folder of the ablation files."
        )
    if kept is not None:
        return _keep(Path(kept), folder)
    if index:
        return _write_index(folder)
    return _check(folder, rest) if check else _show(folder, rest)


def _keep(directory: Path, folder: Path) -> int:
    from vitcli.answers.answer import keep_answer

    answer = keep_answer(directory, folder)
    print(f"Answer: {folder / 'answers' / answer.name}.md")
    return _write_index(folder)


def _write_index(folder: Path) -> int:
    from vitcli.answers.index import write_index

    print(f"Table: {write_index(folder)}")
    return 0


def _check(folder: Path, names: list[str]) -> int:
    from vitcli.answers.answer import answers_in
    from vitcli.answers.check import repeat, to_check

    # Lightning's lines about devices and epochs would stand between the outcomes.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    answers = answers_in(folder)
    held = True
    for name in names or to_check(answers):
        if name not in answers:
            raise ConfigError(f"{COMMAND_LINE}: there is no answer {name!r}{nearest(name, answers)}")
        found = repeat(answers[name])
        low, high = found.interval
        expected = "the same, on this kind of machine" if found.same_machine else f"a value in [{low:.4f}, {high:.4f}]"
        outcome = "ok" if found.holds else "differs"
        print(f"{name}: {found.trial} gave {found.then:.4f}, now {found.now:.4f}; expected {expected}: {outcome}")
        held = held and found.holds
    return 0 if held else 1


def _show(folder: Path, names: list[str]) -> int:
    from vitcli.answers.answer import answers_in
    from vitcli.report import one_line_answer

    answers = answers_in(folder)
    for name in names:
        if name not in answers:
            raise ConfigError(f"{COMMAND_LINE}: there is no answer {name!r}{nearest(name, answers)}")
        print((folder / "answers" / f"{name}.md").read_text(encoding="utf-8"), end="")
    for name, answer in answers.items() if not names else ():
        changed = answer.changed_arms()
        print(f"{name} ({answer.date}{', stale' if changed else ''}): {one_line_answer(answer.summary)}")
    if not answers:
        print(f"No answer is kept in {folder / 'answers'}; vitcli answers --keep DIR keeps that of a finished run.")
    return 0


def _value(words: list[str], option: str) -> str | None:
    if option not in words:
        return None
    at = words.index(option)
    if at + 1 == len(words):
        raise ConfigError(f"{COMMAND_LINE}: {option} has no value; write {option} DIR.")
    value = words[at + 1]
    del words[at : at + 2]
    return value


def _flag(words: list[str], option: str) -> bool:
    found = option in words
    words[:] = [word for word in words if word != option]
    return found
