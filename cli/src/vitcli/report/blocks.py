"""What a page of the report consists of, before it is Markdown, HTML or LaTeX; every text in it is plain text."""

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
    """One paragraph, after a word or two that say what it is."""

    text: str
    lead: str = ""


@dataclass(frozen=True)
class Warnings:
    """Sentences that must be read before any number."""

    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header.

    Args:
        name: What the rows are, for those who cannot see them.
        header: One heading a column.
        words: Headings of the columns that hold words; the others hold numbers.
        rows: As many cells as headings.
    """

    name: str
    header: tuple[str, ...]
    words: frozenset[str]
    rows: tuple[tuple[str | Code, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A figure that lies beside the report as ``name``.png and ``name``.svg."""

    name: str
    caption: str


@dataclass(frozen=True)
class Bullets:
    """A list; each item is what it is about and what there is to say."""

    items: tuple[tuple[str, str | Code], ...]


@dataclass(frozen=True)
class Log:
    """The last lines of a log, and whose."""

    title: str
    lines: tuple[str, ...]


Block = Heading | Paragraph | Warnings | Table | Picture | Bullets | Log
