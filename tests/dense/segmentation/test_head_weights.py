"""The initial weights of the heads: the classifier's spread is the one that was asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from vittasks import FCN, SemanticFPN, UPerNet


@pytest.mark.parametrize("head", [SemanticFPN, UPerNet, FCN])
@pytest.mark.parametrize(("arguments", "std"), [({}, 0.01), ({"classifier_std": 0.1}, 0.1)])
def test_the_classifier_starts_with_the_spread_that_was_asked_for(
    head: Callable[..., Any], arguments: dict[str, float], std: float
) -> None:
    built = head([16, 16, 16, 16], 100, channels=64, **arguments)
    classifier = built.classifier[1]
    assert isinstance(classifier, nn.Conv2d)
    assert classifier.weight.std().item() == pytest.approx(std, rel=0.05)
    assert not classifier.bias.any()
