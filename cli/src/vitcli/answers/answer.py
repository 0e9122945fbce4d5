"""An answer: the records of all trials of a finished ablation in one file, and the page made from them.

``ablations/answers/NAME.json`` holds ``ablation.json`` and every ``result.json`` of a run's directory, so that the report can be
made from it again; ``NAME.md`` and the two figures beside it are for reading.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.records.ablation import ABLATION, Ablation, load
from vitcli.records.json_files import FORMAT, RecordError, read_record, write_json, write_text
from vitcli.records.trial import RESULT
from vitcli.report import Summary, short_answer, summarise, to_markdown

if TYPE_CHECKING:
    from vitcli.ablation.planning.draft import Draft

FIGURES = ("arms", "differences")


@dataclass(frozen=True)
class Answer:
    """What is kept of one ablation.

    Args:
        name: Name of the ablation.
        folder: Folder of the ablation files.
        record: Content of ``ablation.json``.
        trials: ``ARM/seedN`` -> content of ``result.json``.
    """

    name: str
    folder: Path
    record: dict[str, Any]
    trials: dict[str, dict[str, Any]]

    @property
    def file(self) -> Path:
        """The ablation's file."""
        return self.folder / f"{self.name}.yaml"

    @property
    def date(self) -> str:
        """The day on which the last trial ended."""
        return max(str(trial["finished_at"]) for trial in self.trials.values())[:10]

    @cached_property
    def summary(self) -> Summary:
        """The comparison of the arms, made from the records."""
        with self.unpacked() as ablation:
            return summarise(ablation)

    @contextmanager
    def unpacked(self) -> Iterator[Ablation]:
        """Write the records into a directory of its own, as a run does, and read them from there."""
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / self.name
            directory.mkdir()
            write_json(directory / ABLATION, self.record)
            for trial, result in self.trials.items():
                (directory / trial).mkdir(parents=True)
                write_json(directory / trial / RESULT, result)
            yield load(directory)

    def changed_arms(self) -> list[str]:
        """Return the arms that the file has changed or removed since the answer was given, and those that are new."""
        return self.arms_that_differ(current_identities(self.file))

    def arms_that_differ(self, now: Mapping[str, str]) -> list[str]:
        """Return the arms whose identity has changed since the answer was given, and those that only one side has."""
        then = {arm: one["id"] for arm, one in self.record["arms"].items()}
        return [arm for arm in {**then, **now} if now.get(arm) != then.get(arm)]


def current_identities(file: Path) -> dict[str, str]:
    """Return arm -> identity of an ablation file as it is now."""
    from vitcli.ablation.planning.identity import identity

    return {arm: identity(config) for arm, config in draft_of(file).configs.items()}


def draft_of(file: Path) -> "Draft":
    """Return an ablation file's arms, resolved."""
    from vitcli.ablation.planning.draft import (
        resolve_arms,  # here, as above: it imports torch, which a kept answer does without
    )

    return resolve_arms(parse_arguments(["--config", str(file)]))


def answers_in(folder: Path) -> dict[str, Answer]:
    """Return the answers of a folder of ablation files by name.

    Raises:
        RecordError: A file cannot be read.
    """
    return {path.stem: read_answer(path) for path in sorted((folder / "answers").glob("*.json"))}


def read_answer(path: Path) -> Answer:
    """Read one answer.

    Raises:
        RecordError: The file is damaged.
    """
    content = read_record(path)
    if not isinstance(content.get("ablation"), dict) or not isinstance(content.get("trials"), dict):
        raise RecordError(f"{path}: ablation and trials are missing; vitcli answers --keep DIR writes the file anew.")
    return Answer(path.stem, path.parents[1], content["ablation"], content["trials"])


def keep_answer(directory: Path, folder: Path) -> Answer:
    """Keep the answer of a finished run in ``folder/answers``: records, page and figures.

    Args:
        directory: The run's directory, with its report.
        folder: Folder of the ablation files.

    Raises:
        ConfigError: The folder has no file of this name, a trial is missing or failed, or there are no figures yet.
        RecordError: The directory cannot be read.
    """
    ablation = load(directory)
    if not (folder / f"{ablation.name}.yaml").is_file():
        raise ConfigError(f"{directory}: {folder} has no file {ablation.name}.yaml whose answer this could be.")
    # An arm that a declared look decided, or that racing stopped, needs no further seeds: the answer is complete without them.
    if missing := [trial for trial in ablation.not_used if trial.status != "dropped"]:
        raise ConfigError(
            f"{directory}: {missing[0].name} has no usable result; an answer holds every trial, so finish the run first."
        )
    figures = {name: directory / f"{name}.png" for name in FIGURES}
    if absent := [path for path in figures.values() if not path.is_file()]:
        raise ConfigError(f"{absent[0]}: there is no such figure; vitcli report {directory} draws it.")
    target = folder / "answers"
    target.mkdir(exist_ok=True)
    # The command as anybody would give it, without paths of this machine.
    record = {**read_record(directory / ABLATION), "command": f"vitcli fit --config {folder.name}/{ablation.name}.yaml"}
    trials = {
        f"{trial.arm}/seed{trial.seed}": {**read_record(trial.directory / RESULT), "log": []}
        for arm in ablation.arms
        for trial in arm.done
    }
    answer = Answer(ablation.name, folder, record, trials)
    write_json(target / f"{answer.name}.json", {"format": FORMAT, "ablation": record, "trials": trials})
    for name, path in figures.items():
        shutil.copyfile(path, target / f"{answer.name}_{name}.png")
    write_text(target / f"{answer.name}.md", page(answer))
    return answer


def page(answer: Answer) -> str:
    """Return the page of an answer: the answer in sentences, the table, the figures, and how it was measured."""
    with answer.unpacked() as ablation:
        body = to_markdown(short_answer(ablation, answer.summary))
        machine = ", ".join(_counted(name, value) for name, value in ablation.machine.items())
        versions = ", ".join(
            f"{name} {ablation.versions[name]}" for name in ("vitcli", "torch") if name in ablation.versions
        )
    commits = sorted({str(trial["provenance"].get("commit"))[:12] for trial in answer.trials.values()})
    pictures = "\n\n".join(f"![{name}]({answer.name}_{name}.png)" for name in FIGURES)
    return (
        f"{body.rstrip()}\n\n{pictures}\n\nAnswered on {answer.date}: {len(answer.trials)} trials on {machine}; {versions}, "
        f"commit {', '.join(commits)}. Repeat it with `{answer.record['command']}`.\n"
    )


def _counted(name: str, value: Any) -> str:
    """Return a property of the machine as text, such as ``2 cores`` or ``1 thread``."""
    return f"{value} {name.removesuffix('s') if value == 1 else name}" if isinstance(value, int) else str(value)
