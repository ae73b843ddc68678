import pytest
import torch

from ddpm_controller.diffusion.losses import simple_loss


def test_the_loss_is_the_mean_squared_error():
    answer = torch.tensor([[[1.0, 2.0], [3.0, -4.0]]])
    target = torch.tensor([[[0.0, 2.0], [1.0, -1.0]]])
    assert simple_loss(answer, target).item() == pytest.approx((1 + 0 + 4 + 9) / 4)


def test_padding_counts_neither_in_the_sum_nor_in_the_number():
    answer = torch.tensor([[[1.0, 2.0], [3.0, -4.0]]], requires_grad=True)
    target = torch.tensor([[[0.0, 0.0], [1.0, -1.0]]])
    mask = torch.tensor([[True, False]])
    loss = simple_loss(answer, target, mask)
    assert loss.item() == pytest.approx((1 + 4) / 2)
    loss.backward()
    assert answer.grad is not None
    assert answer.grad[0, 1].tolist() == [0.0, 0.0]
    assert answer.grad[0, 0].tolist() == [1.0, 2.0]


def test_a_batch_of_padding_is_no_loss_and_not_a_division_by_zero():
    ones = torch.ones(1, 2, 3)
    assert simple_loss(ones, -ones, torch.zeros(1, 2, dtype=torch.bool)).item() == 0.0


def test_shapes_that_broadcasting_would_hide_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        simple_loss(torch.ones(2, 3, 1), torch.ones(2, 3, 4))
    with pytest.raises(ValueError, match="mask"):
        simple_loss(torch.ones(2, 3, 4), torch.ones(2, 3, 4), torch.ones(3, 2, dtype=torch.bool))
