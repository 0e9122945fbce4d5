"""The table in ablations/README.md is made from the files and the kept answers, and every answer holds its trials."""

from pathlib import Path

import pytest

from vitcli.answers.answer import answers_in, page
from vitcli.answers.index import BEGIN, END, index

FOLDER = Path(__file__).parents[3] / "ablations"
ANSWERS = answers_in(FOLDER)


def test_the_table_of_questions_is_up_to_date():
    found = (FOLDER / "README.md").read_text().partition(f"{BEGIN}\n")[2].partition(END)[0]
    assert found == index(FOLDER), "vitcli answers --index writes the table anew"


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_holds_a_done_result_of_every_trial_and_its_page_is_made_from_them(name):
    with ANSWERS[name].unpacked() as ablation:
        assert not ablation.not_used
        assert len(ANSWERS[name].trials) == sum(len(ablation.seeds_of(arm.name)) for arm in ablation.arms)
    assert (FOLDER / "answers" / f"{name}.md").read_text() == page(ANSWERS[name])
