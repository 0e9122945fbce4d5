"""The same report as Markdown, HTML, LaTeX and CSV: the same numbers, and nothing in a name that any of them would obey."""

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.ablation_directory import edit_plan, edit_result, make_ablation, make_arms, write_speed
from tests.cli.chromium import Chromium
from vitcli.records.ablation import load
from vitcli.report import summarise, write, write_pages
from vitcli.report.formats.printable import printable
from vitcli.report.tables import costs, results

HOSTILE = (
    "base", "<script>alert(1)<script>", "a&b_c%d$e#f{g}$h~i^j\\k", "*star*", "[bracket]", "naïve – 日本", "\"q\" 'p' `t`",
    "a|b", "--dashes", "\x1b[31mred\x1b[0m", "__init__", "[link](javascript:alert(1))",
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = make_ablation(tmp_path_factory.mktemp("runs") / "localvit_act")
    write_speed(directory)
    edit_result(directory, "h_swish", 3, log=["the last line"])
    write(directory)
    return directory


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = make_arms(tmp_path_factory.mktemp("runs") / "hostile", HOSTILE, 3)
    edit_plan(directory, question="Is <b>5 % & more</b> _better_ than $x$? \\input{secret} `code`")
    edit_result(
        directory, "a|b", 2, status="failed", cause="<img src=x onerror=alert(1)>", metrics={},
        log=["</pre><script>alert(2)</script>", "\x1b[2J100 %"],
    )  # fmt: skip
    ablation = load(directory)
    write_pages(ablation, summarise(ablation), [])
    return directory


class Page(HTMLParser):
    """What a browser finds in the page: its elements, their attributes, and the cells of its tables."""

    def __init__(self, path: Path):
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(path.read_text())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "b", "div", "ul", "li", "table", "thead",
    "tbody", "tr", "th", "td", "figure", "img", "figcaption", "code", "details", "summary", "pre",
    "span", "label", "input", "i", "wbr",
}  # fmt: skip


def test_the_page_holds_everything_that_it_shows_and_asks_for_nothing(runs):
    page = Page(runs / "report.html")
    assert set(page.elements) == ELEMENTS
    assert page.elements.count("img") == 4
    addresses = [value for name, value in page.attributes if name in ("src", "href", "action", "data", "srcset")]
    assert all(address and address.startswith("data:image/svg+xml;base64,") for address in addresses)
    style = (runs / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_fits_a_phone_and_follows_the_readers_colours(runs):
    text = (runs / "report.html").read_text()
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "prefers-color-scheme: dark" in text
    page = Page(runs / "report.html")
    assert all(("alt", caption) not in page.attributes for caption in ("", None))
    assert text.count('<div class="wide"') == page.elements.count("table") + page.elements.count("img")


def test_every_number_of_both_tables_is_the_same_in_markdown_html_and_latex(runs):
    summary = summarise(load(runs))
    html, markdown, latex = (
        Page(runs / "report.html").text,
        (runs / "report.md").read_text(),
        (runs / "report.tex").read_text(),
    )
    bare = re.sub(r"[\\${}]", "", latex).replace("pm", "±").replace("textless", "<")
    for table in (results(summary), costs(summary)):
        for row in table.rows:
            assert f"| {' | '.join(row)} |" in markdown
            assert f"{' & '.join('--' if cell == '-' else cell for cell in row)} " in bare
            assert "\n".join(cell for cell in row if cell) in html


def test_the_csv_rounds_to_the_numbers_of_the_pages(runs):
    markdown = (runs / "report.md").read_text()
    for row in csv.DictReader(io.StringIO((runs / "report.csv").read_text())):
        half_width = (float(row["high"]) - float(row["low"])) / 2
        cells = f"| {row['arm']} | {row['n']} | {float(row['mean']):.3f} ± {half_width:.3f} | {float(row['sd']):.3f} |"
        assert cells in markdown
        if row["improvement"]:
            assert f"| {float(row['improvement']):.2f} ({row['wins']} of {row['compared_n']}) |" in markdown


def test_the_new_columns_of_the_csv_come_after_those_that_scripts_know(runs):
    header = (runs / "report.csv").read_text().splitlines()[0].split(",")
    assert header[18] == "train_images_per_second"
    assert header[19:] == [
        "difference_se", "improvement", "improvement_low", "improvement_high", "wins", "ties",
        "latency_ms", "inference_images_per_second", "train_step_images_per_second", "peak_memory_bytes", "step_seconds",
        "baseline_n", "degrees_of_freedom", "seeds_needed_high", "pairing", "margin", "exploratory", "warnings",
    ]  # fmt: skip


def test_no_name_question_cause_or_log_becomes_an_element_of_the_page(hostile):
    page = Page(hostile / "report.html")
    assert set(page.elements) <= ELEMENTS
    for text in (*HOSTILE[:9], "red", "Is <b>5 % & more</b> _better_", "<img src=x onerror=alert(1)>", "100 %"):
        assert text in page.text
    assert "\x1b" not in (hostile / "report.html").read_text()


def test_no_name_becomes_markup_in_markdown(hostile):
    text = (hostile / "report.md").read_text()
    for written in ("\\<script>alert(1)\\<script>", "\\*star\\*", "a\\|b", "\\_\\_init\\_\\_", "[link]\\(javascript:"):
        assert written in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table[: len(HOSTILE) + 2]}) == 1


def test_latex_escapes_every_special_letter(hostile):
    text = (hostile / "report.tex").read_text()
    for written in (
        r"a\&b\_c\%d\$e\#f\{g\}\$h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k",
        r"\textless{}script\textgreater{}",
        r"{[}bracket{]}",
        r"naive \textendash{} (U+65E5)(U+672C)",
        "''q'' 'p' `t`",
        r"a\textbar{}b",
        r"-{}-{}dashes",
    ):
        assert written in text
    assert text.isascii()
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [7] * (len(HOSTILE) + 1) + [4] * (len(HOSTILE) + 1)


@pytest.mark.latex
@pytest.mark.parametrize("which", ["runs", "hostile"])
def test_latex_compiles_in_a_document_that_has_booktabs_alone(which, request, tmp_path):
    shutil.copy(request.getfixturevalue(which) / "report.tex", tmp_path)
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{report.tex}\\end{document}\n"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_text_for_pages_has_no_colours_of_terminals_and_no_hidden_letters():
    assert printable("\x1b[1;31mred\x1b[0m\tx") == "red x"
    assert printable("a\u202eb\x00c\ud800d\ne") == "a?b?c?d e"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_scrolling_sideways(runs, tmp_path, scheme):
    with Chromium(390, 844) as browser:
        browser._send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open((runs / "report.html").as_uri())
        browser.wait_for("What the intervals mean")
        assert browser.run("document.documentElement.scrollWidth") == 390
        assert browser.run("[...document.images].every(image => image.complete && image.naturalWidth > 300)")
        wide = "[...document.querySelectorAll('.wide')]"
        assert browser.run(f"{wide}.length") >= 4
        assert browser.run(f"{wide}.filter(box => box.scrollWidth > box.clientWidth).length") == 0
        assert browser.run(f"{wide}.every(box => getComputedStyle(box).overflowX === 'auto')")
        text, page = (
            browser.run(f"getComputedStyle(document.body).{name}.match(/\\d+/g).map(Number)")
            for name in ("color", "backgroundColor")
        )
        assert abs(sum(text) - sum(page)) > 3 * 180
        assert (sum(page) < 3 * 60) == (scheme == "dark")
        browser.screenshot(tmp_path / "phone.png")
        assert (tmp_path / "phone.png").stat().st_size > 10_000


def test_labels_say_what_short_names_stand_for(runs, tmp_path):
    directory = Path(shutil.copytree(runs, tmp_path / "labelled"))
    record = json.loads((directory / "ablation.json").read_text())
    record["arms"]["h_swish_se4"]["label"] = "h-swish, SE by 4"
    (directory / "ablation.json").write_text(json.dumps(record))
    ablation = load(directory)
    write_pages(ablation, summarise(ablation), [])
    assert "**Arms.** h_swish_se4: h-swish, SE by 4." in (directory / "report.md").read_text()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 390])
def test_tables_fit_the_window_and_a_click_sorts_them(width, runs):
    with Chromium(width, 900) as browser:
        browser.open((runs / "report.html").as_uri())
        browser.wait_for("What the intervals mean")
        too_wide = (
            "[...document.querySelectorAll('.wide:has(table)')].filter(one => one.scrollWidth > one.clientWidth).length"
        )
        assert browser.run(too_wide) == 0
        rows = (
            "[...document.querySelector('table').querySelectorAll('tbody th')]"
            ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top).map(one => one.textContent)"
        )
        arms = browser.run(rows)
        means = {row.arm: row.result.mean or 0 for row in summarise(load(runs)).rows}
        browser.run("document.querySelector('.down2').click()")
        assert browser.run(rows) == sorted(arms, key=lambda arm: -means[arm])
        browser.run("document.querySelector('.up2').click()")
        assert browser.run(rows) == sorted(arms, key=lambda arm: means[arm])
