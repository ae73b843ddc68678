import pytest
import torch

from ddpm_controller.networks.image_encoder import ImageEncoder, SpatialSoftmax, random_shift
from ddpm_controller.networks.resnet_encoder import ResNetEncoder


def test_spatial_softmax_points_at_the_peak():
    maps = torch.zeros(1, 2, 5, 9)
    maps[0, 0, 1, 8] = 100.0  # row 1 of 5, last column
    maps[0, 1, 4, 2] = 100.0
    points = SpatialSoftmax(5, 9)(maps)
    assert points[0, 0].tolist() == pytest.approx([1.0, -0.5])
    assert points[0, 1].tolist() == pytest.approx([-0.5, 1.0])


def test_spatial_softmax_of_a_flat_map_is_the_centre():
    assert SpatialSoftmax(4, 6)(torch.ones(1, 1, 4, 6)).abs().max().item() < 1e-6


def test_keypoints_keep_their_precision_under_autocast():
    """In bfloat16 a coordinate has steps of 1/128 to 1/256: three pixels of a wide image."""
    maps = torch.randn(3, 4, 24, 24, generator=torch.Generator().manual_seed(0))
    layer = SpatialSoftmax(24, 24)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = layer(maps)
    torch.testing.assert_close(mixed, layer(maps))


@pytest.mark.parametrize("size", [(96, 96), (30, 41), (8, 8)])
def test_an_encoder_gives_a_point_per_keypoint_for_any_size(size):
    encoder = ImageEncoder((*size, 3), (8, 8, 8), 5, 4)
    images = torch.zeros(2, 3, *size).contiguous(memory_format=torch.channels_last)
    assert encoder(images).shape == (2, 10)


def test_the_encoder_sees_an_object_move():
    encoder = ImageEncoder((32, 32, 3), (8, 8), 4, 4)
    images = torch.zeros(2, 3, 32, 32)
    images[0, :, 5:9, 5:9] = 1.0
    images[1, :, 20:24, 20:24] = 1.0
    features = encoder(images)
    assert (features[0] - features[1]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("shape", "channels", "keypoints", "message"),
    [
        ((32, 32, 3), (8, 9), 4, r"\[9\] must be divisible by num_groups = 4"),
        ((4, 32, 3), (8, 8), 4, "4x32 are too small"),
        ((32, 32, 3), (), 4, "needs channels and keypoints"),
    ],
)
def test_sizes_that_break_a_rule_are_refused(shape, channels, keypoints, message):
    with pytest.raises(ValueError, match=message):
        ImageEncoder(shape, channels, keypoints, 4)


def numbered_images(batch, steps=2, size=12):
    """Every pixel says where it is: red is its row, green its column, blue its step."""
    images = torch.zeros(batch, steps, size, size, 3, dtype=torch.uint8)
    images[..., 0] = torch.arange(size)[:, None]
    images[..., 1] = torch.arange(size)
    images[..., 2] = torch.arange(steps)[:, None, None]
    return images


def test_a_random_shift_moves_whole_examples_and_repeats_the_edge():
    images = numbered_images(200)
    moved = random_shift(images, 3, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert moved.dtype == torch.uint8
    shifts = set()
    for example in moved.long():
        down, right = (example[0, 6, 6, :2] - 6).tolist()
        shifts.add((down, right))
        rows = (torch.arange(12) + down).clamp(0, 11)
        columns = (torch.arange(12) + right).clamp(0, 11)
        for step in (0, 1):
            assert torch.equal(example[step, :, :, 0], rows[:, None].expand(12, 12))
            assert torch.equal(example[step, :, :, 1], columns[None].expand(12, 12))
            assert (example[step, :, :, 2] == step).all()
    # All 49 shifts are equally likely: of 200 draws, fewer than 40 kinds has odds below 1e-6.
    assert len(shifts) >= 40
    assert {each for pair in shifts for each in pair} == {-3, -2, -1, 0, 1, 2, 3}


def test_a_shift_of_nothing_leaves_the_images_and_the_generator_alone():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = numbered_images(2)
    assert random_shift(images, 0, generator) is images
    assert torch.equal(generator.get_state(), before)


def test_resnet18_refuses_an_image_of_which_one_place_is_left_and_learns_from_a_larger_one():
    for shape, crop in (((32, 32, 3), None), ((96, 96, 3), (20, 32)), ((40, 40, 3), (41, 40))):
        with pytest.raises(ValueError, match="more than 32 high or wide"):
            ResNetEncoder(shape, 4, crop)
    torch.manual_seed(0)
    encoder = ResNetEncoder((48, 40, 3), 4, (40, 40))
    encoder(torch.rand(2, 3, 48, 40)).square().sum().backward()
    assert all(each.grad.abs().max() > 0 for each in encoder.parameters())
