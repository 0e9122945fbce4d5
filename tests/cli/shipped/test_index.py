"""The table in ablations/README.md is made from the files and the kept answers, and every answer holds its trials."""

from pathlib import Path

import pytest

from vitcli.answers.answer import answers_in, page
from vitcli.answers.index import BEGIN, BEGIN_ORDERS, END, END_ORDERS, ORDERS_HEADER, index, table
from vitcli.answers.published import order_rows, read_published
from vitcli.config.yaml_files import read_yaml

FOLDER = Path(__file__).parents[3] / "ablations"
ANSWERS = answers_in(FOLDER)
PUBLISHED = read_published(FOLDER)


def test_the_table_of_questions_is_up_to_date():
    text = (FOLDER / "README.md").read_text()
    found = text.partition(f"{BEGIN}\n")[2].partition(END)[0]
    assert found == index(FOLDER, ANSWERS, PUBLISHED), "vitcli answers --index writes the table anew"
    orders = text.partition(f"{BEGIN_ORDERS}\n")[2].partition(END_ORDERS)[0]
    assert orders == table(ORDERS_HEADER, order_rows(PUBLISHED, ANSWERS)), "vitcli answers --index writes it anew"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_orders_of_a_paper_are_orders_of_arms_that_the_file_has(name):
    arms = read_yaml(str(FOLDER / f"{name}.yaml"))["ablation"]["arms"]
    assert {arm for order in PUBLISHED[name].orders for arm in (order.higher, order.lower)} <= set(arms)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_holds_a_done_result_of_every_trial_and_its_page_is_made_from_them(name):
    with ANSWERS[name].unpacked() as ablation:
        # Seeds of an arm that a declared look decided are not run.
        assert all(trial.status == "dropped" and trial.arm in ablation.dropped for trial in ablation.not_used)
        assert set(ANSWERS[name].trials) == {trial.name for arm in ablation.arms for trial in arm.done}
    assert (FOLDER / "answers" / f"{name}.md").read_text() == page(ANSWERS[name])
