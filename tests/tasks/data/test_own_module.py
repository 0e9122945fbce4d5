"""The data module on docs/data.md can be trained on as it stands there."""

import re
from pathlib import Path

import torch

from vittasks import Classification

PAGE = Path(__file__).parents[3] / "docs" / "data.md"


def test_the_module_on_the_page_gives_what_the_task_needs():
    snippets = re.findall(r"```python\n(.+?)```", PAGE.read_text(), flags=re.DOTALL)
    (snippet,) = [one for one in snippets if "class Stripes" in one]
    namespace: dict = {}
    exec(compile(snippet, "docs/data.md", "exec"), namespace)
    data = namespace["Stripes"](seed=1)
    backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 2))
    backbone.num_classes = data.num_classes
    task = Classification(backbone)
    task.check_against(data)
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        images, labels = next(iter(loader))
        assert images.shape[1:] == data.image_shape
        assert task(images).shape == (len(labels), 2)
    assert all(torch.equal(a, b) for a, b in zip(*(next(iter(data.train_dataloader())) for _ in range(2)), strict=True))
