import pytest
import torch
from torch import nn

from tests.core.attention.windows.test_messenger_exchange import exchange_by_loops
from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.core.window_twins import attend, table_score
from vitcore import MessengerAttention, MessengerExchange, NoPosition, WindowAttention


def windows_of(h: int, w: int, window: int) -> list[list[tuple[int, int]]]:
    """The tokens of each window, windows and tokens in raster order."""
    rows, columns = min(h, window), min(w, window)
    return [
        [(y, x) for y in range(top, min(top + rows, h)) for x in range(left, min(left + columns, w))]
        for top in range(0, h, rows)
        for left in range(0, w, columns)
    ]


def project(op, tokens: torch.Tensor) -> list[torch.Tensor]:
    joint = tokens @ op.qkv.weight.T + (0 if op.qkv.bias is None else op.qkv.bias)
    return [joint[..., i * op.width : (i + 1) * op.width] for i in range(3)]


def out(op, mixed: torch.Tensor) -> torch.Tensor:
    return mixed @ op.projection.weight.T + op.projection.bias


def scores(op, tokens, query) -> torch.Tensor:
    """What is added to the scores of a token with its messenger and with the window's tokens."""
    score_of = table_score(op.position.table, op.window)
    return torch.stack([op.messenger_bias, *(score_of(query, key) for key in tokens)])


def read_windows_by_loops(op, grid, messengers) -> torch.Tensor:
    """Each token attends to its window's messenger and tokens."""
    new = torch.empty_like(grid)
    for n, tokens in enumerate(windows_of(*grid.shape[1:3], op.window)):
        _, k, v = project(op, torch.stack([messengers[:, n], *(grid[:, y, x] for y, x in tokens)], 1))
        for y, x in tokens:
            q = project(op, grid[:, y, x])[0]
            new[:, y, x] = out(op, attend(q, k, v, op.head_dim, scores(op, tokens, (y, x))))
    return new


def joint_attention_by_loops(op, grid, prefix) -> torch.Tensor:
    """As in the paper; the new messengers follow the map's tokens."""
    new_prefix = []
    for n, tokens in enumerate(windows_of(*grid.shape[1:3], op.window)):
        q, k, v = project(op, torch.stack([prefix[:, n], *(grid[:, y, x] for y, x in tokens)], 1))
        nothing = grid.new_zeros(k.shape[1], op.width // op.head_dim)
        new_prefix.append(out(op, attend(q[:, 0], k, v, op.head_dim, nothing)))
    return torch.cat((read_windows_by_loops(op, grid, prefix).flatten(1, 2), torch.stack(new_prefix, 1)), 1)


def own_messengers_by_loops(op, grid) -> torch.Tensor:
    """A learned vector reads each window, the readings are exchanged, the tokens read them."""
    h, w = grid.shape[1:3]
    readings = []
    q = project(op, op.initial[0, 0])[0].expand(grid.shape[0], -1)
    for tokens in windows_of(h, w, op.window):
        _, k, v = project(op, torch.stack([grid[:, y, x] for y, x in tokens], 1))
        readings.append(out(op, attend(q, k, v, op.head_dim, grid.new_zeros(len(tokens), op.width // op.head_dim))))
    rows, columns = -(-h // min(h, op.window)), -(-w // min(w, op.window))
    return read_windows_by_loops(op, grid, exchange_by_loops(torch.stack(readings, 1), rows, columns, op.shuffle))


@pytest.mark.parametrize(("h", "w", "n"), [(6, 6, 4), (7, 5, 6), (2, 8, 3), (1, 1, 1)])
def test_window_and_messenger_attend_jointly_as_in_a_loop(h, w, n):
    op = randomise(MessengerAttention(8, window=3, shuffle=2, head_dim=4, messengers="prefix"))
    grid, prefix = random_grid(h, w, 8), random_grid(1, n, 8, seed=2).flatten(1, 2).detach().requires_grad_()

    class Joint(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = op

        def forward(self, grid, prefix):
            new_grid, new_prefix = self.op.forward_prefixed(grid, prefix)
            return torch.cat((new_grid.flatten(1, 2), new_prefix), 1)

    assert_same_function(Joint(), lambda grid, prefix: joint_attention_by_loops(op, grid, prefix), grid, prefix)


@pytest.mark.parametrize("shuffle", [1, 2])
@pytest.mark.parametrize(("h", "w"), [(6, 6), (7, 5), (2, 8), (1, 1)])
def test_messengers_of_the_op_itself_read_exchange_and_are_read_as_in_a_loop(h, w, shuffle):
    op = randomise(MessengerAttention(8, window=3, shuffle=shuffle, head_dim=4))
    assert_same_function(op, lambda grid: own_messengers_by_loops(op, grid), random_grid(h, w, 8))


def test_attention_sum_and_exchange_are_the_papers_step():
    """Residual sum first, then the exchange of the summed messengers, as two branches of a skeleton."""
    norm = randomise(nn.LayerNorm(16))
    op = randomise(MessengerAttention(16, window=2, shuffle=2, head_dim=4, messengers="prefix"))
    exchange = MessengerExchange(16, window=2, shuffle=2)
    grid, prefix = random_grid(8, 4, 16), random_grid(1, 8, 16, seed=2).flatten(1, 2)
    joint = joint_attention_by_loops(op, norm(grid), norm(prefix))
    expected_grid = grid + joint[:, :32].view(grid.shape)
    expected_prefix = exchange_by_loops(prefix + joint[:, 32:], 4, 2, 2)
    for branch, before in ((op, norm), (exchange, nn.Identity())):
        new_grid, new_prefix = branch.forward_prefixed(before(grid), before(prefix))
        grid, prefix = grid + new_grid, prefix + new_prefix
    torch.testing.assert_close(grid, expected_grid)
    torch.testing.assert_close(prefix, expected_prefix)


@pytest.mark.parametrize(
    ("size", "query", "rows", "columns"),
    [
        ((8, 12), (5, 3), range(4, 8), range(4)),
        ((7, 9), (1, 1), range(4), range(4)),
        ((7, 9), (6, 5), range(4, 7), range(4, 8)),
        ((7, 9), (6, 8), range(4, 7), range(8, 9)),
    ],
)
def test_a_token_sees_all_windows_of_its_region(size, query, rows, columns):
    op = randomise(MessengerAttention(16, window=2, shuffle=2, head_dim=4))
    assert seen_tokens(op, *size, 16, query) == {(i, j) for i in rows for j in columns}


def test_without_a_region_a_token_sees_its_window():
    op = randomise(MessengerAttention(16, window=2, shuffle=1, head_dim=4))
    assert seen_tokens(op, 5, 6, 16, (4, 3)) == {(4, 2), (4, 3)}


def test_without_weight_on_the_messenger_it_is_window_attention():
    op = randomise(MessengerAttention(8, window=3, shuffle=2, head_dim=4, messengers="prefix"))
    alone = WindowAttention(8, window=3, head_dim=4).double()
    alone.load_state_dict({name: value for name, value in op.state_dict().items() if name != "messenger_bias"})
    op.messenger_bias.data.fill_(-1e4)
    grid = random_grid(7, 5, 8)
    torch.testing.assert_close(op.forward_prefixed(grid, random_grid(1, 6, 8).squeeze(1))[0], alone(grid))


def test_prefix_messengers_of_an_image_depend_on_no_other_image():
    op = randomise(MessengerAttention(8, window=3, shuffle=2, head_dim=4, messengers="prefix"))
    grid, prefix = random_grid(7, 5, 8, b=3), random_grid(1, 6, 8, b=3).squeeze(1)
    for ours, alone in zip(op.forward_prefixed(grid, prefix), op.forward_prefixed(grid[1:2], prefix[1:2]), strict=True):
        torch.testing.assert_close(ours[1:2], alone)


def test_messengers_are_read_without_positions_too():
    op = randomise(MessengerAttention(16, window=2, shuffle=2, head_dim=4, position=NoPosition))
    assert seen_tokens(op, 4, 4, 16, (0, 0)) == {(i, j) for i in range(4) for j in range(4)}


def test_an_op_for_prefix_messengers_has_no_parameter_that_it_does_not_use():
    op = randomise(MessengerAttention(8, window=3, shuffle=2, head_dim=4, messengers="prefix"))
    new_grid, new_prefix = op.forward_prefixed(random_grid(6, 6, 8), random_grid(1, 4, 8).squeeze(1))
    (new_grid.square().sum() + new_prefix.square().sum()).backward()
    assert not [name for name, p in op.named_parameters() if p.grad is None or not p.grad.any()]


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(
        ValueError, match=r"MessengerAttention: head_dim must divide width, got width=96, head_dim=28\."
    ):
        MessengerAttention(96, head_dim=28)
    message = r"MessengerAttention: shuffle must be positive and its square divide width, got width=96, shuffle=5\."
    with pytest.raises(ValueError, match=message):
        MessengerAttention(96, shuffle=5)
    op = MessengerAttention(16, window=3, head_dim=4, messengers="prefix").double()
    message = r"MessengerAttention: a map of 7 x 5 tokens needs 3 x 2 prefix tokens, one for each window, got 5\."
    with pytest.raises(ValueError, match=message):
        op.forward_prefixed(random_grid(7, 5, 16), random_grid(1, 5, 16).squeeze(1))
    with pytest.raises(TypeError, match=r'messengers="prefix" has no messenger of its own; call forward_prefixed'):
        op(random_grid(7, 5, 16))
