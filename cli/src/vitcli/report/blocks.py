"""The parts of a page before they become Markdown, HTML or LaTeX; all texts are plain text."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Code:
    """Text that is a key, a value or a command."""

    text: str


@dataclass(frozen=True)
class Heading:
    """The title of the page (level 1) or of a section (level 2)."""

    text: str
    level: Literal[1, 2]


@dataclass(frozen=True)
class Paragraph:
    """One paragraph; ``lead`` is a word or two before it that say what it is about."""

    text: str
    lead: str = ""


@dataclass(frozen=True)
class Warnings:
    """Sentences that the reader must see before any number."""

    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header.

    Args:
        name: What the rows are, for readers who cannot see the table.
        header: One heading per column.
        words: Headings of the columns that hold words; the other columns hold numbers.
        rows: Each has as many cells as there are headings.
    """

    name: str
    header: tuple[str, ...]
    words: frozenset[str]
    rows: tuple[tuple[str | Code, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A figure, which is beside the report as ``name``.png and ``name``.svg."""

    name: str
    caption: str


@dataclass(frozen=True)
class Bullets:
    """A list; each item has a lead, which says what it is about, and a text."""

    items: tuple[tuple[str, str | Code], ...]


@dataclass(frozen=True)
class Log:
    """The last lines of a log; ``title`` says whose log it is."""

    title: str
    lines: tuple[str, ...]


Block = Heading | Paragraph | Warnings | Table | Picture | Bullets | Log
