import pytest
import torch

from ddpm_controller.networks.normalizer import MinMaxNormalizer, normalize_images


def test_the_range_of_the_data_becomes_minus_one_to_one():
    normalizer = MinMaxNormalizer([-2.0, 0.0], [4.0, 0.08])
    values = torch.tensor([[-2.0, 0.0], [1.0, 0.04], [4.0, 0.08]], dtype=torch.float64)
    expected = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(normalizer(values), expected)


def test_the_way_back_gives_physical_units():
    normalizer = MinMaxNormalizer([-2.0, 0.5], [4.0, 0.5])
    values = torch.tensor([[0.7, 0.5], [-1.9, 0.5]], dtype=torch.float64)
    back = normalizer.unnormalize(normalizer(values))
    assert back.dtype == torch.float64
    torch.testing.assert_close(back, values, rtol=0, atol=1e-6)  # through float32


def test_a_dimension_that_never_moved_is_shifted_and_not_divided():
    """Dividing by a range of 1e-9 would make 0.001 rad of noise a million."""
    normalizer = MinMaxNormalizer([1.0, 2.0], [1.0, 2.0 + 1e-9])
    assert normalizer(torch.tensor([1.001, 2.001], dtype=torch.float64)).tolist() == (
        pytest.approx([0.001, 0.001], abs=1e-7)
    )


def test_a_joint_that_never_moved_is_never_moved():
    normalizer = MinMaxNormalizer([1.0, 0.0], [1.0 + 1e-6, 1.0])
    back = normalizer.unnormalize(torch.tensor([[0.03, 0.5]]))
    assert back.tolist() == [[pytest.approx(1.0, abs=1e-6), 0.75]]


def test_other_values_than_the_ends_of_the_data_may_become_minus_one_and_one():
    """A constant dimension is scaled too, and comes back as it was in the data."""
    normalizer = MinMaxNormalizer([-3.0, 0.5], [5.0, 0.5], [0.0, 0.5], [2.0, 2.5])
    values = torch.tensor([[0.0, 0.5], [2.0, 0.6], [5.0, 0.5]], dtype=torch.float64)
    expected = torch.tensor([[-1.0, -1.0], [1.0, -0.9], [4.0, -1.0]])
    torch.testing.assert_close(normalizer(values), expected)
    assert normalizer.unnormalize(torch.tensor([[-1.0, 0.3]])).tolist() == [[0.0, 0.5]]


def test_what_becomes_minus_one_lies_below_what_becomes_one():
    for low, high in (([1.0], [1.0]), ([2.0], [1.0]), ([0.0], None), ([0.0, 0.0], [1.0, 1.0])):
        with pytest.raises(ValueError, match="low"):
            MinMaxNormalizer([0.0], [1.0], low, high)


def test_statistics_are_no_weights():
    assert MinMaxNormalizer([0.0], [1.0]).state_dict() == {}


@pytest.mark.parametrize(
    ("low", "high"), [([0.0], [-1.0]), ([float("nan")], [1.0]), ([0.0], [float("inf")])]
)
def test_statistics_that_are_no_range_are_refused(low, high):
    with pytest.raises(ValueError, match="finite min <= max"):
        MinMaxNormalizer(low, high)
    with pytest.raises(ValueError, match="must be"):
        MinMaxNormalizer([0.0, 0.0], [1.0])


def test_images_become_minus_one_to_one_with_the_channels_first():
    images = torch.zeros(2, 4, 5, 3, dtype=torch.uint8)
    images[1, 2, 3] = torch.tensor([0, 51, 255])
    normalized = normalize_images(images)
    assert normalized.shape == (2, 3, 4, 5)
    assert normalized[1, :, 2, 3].tolist() == pytest.approx([-1.0, -0.6, 1.0])
    assert normalized[0].unique().tolist() == [-1.0]
    assert images[1, 2, 3].tolist() == [0, 51, 255]  # the caller's are untouched
