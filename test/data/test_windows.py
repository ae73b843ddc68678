import numpy as np
import pytest

from ddpm_controller.data.windows import WindowDataset, split_episodes
from ddpm_controller.types import Episode


def counted(first: int, length: int) -> Episode:
    """An episode whose position, image and action all count the moments from ``first``."""
    count = np.arange(first, first + length)
    images = np.broadcast_to(count[:, None, None, None], (length, 2, 2, 3)).astype(np.uint8)
    return Episode(
        stamps_s=count * 0.1,
        values={"joint_state": count[:, None].astype(float), "camera": images},
        actions=count[:, None] + 0.5,
    )


@pytest.fixture
def dataset() -> WindowDataset:
    return WindowDataset([counted(10, 5), counted(50, 4)], n_obs_steps=2, horizon=4)


def test_every_moment_of_every_episode_is_one_window(dataset):
    newest = dataset.gather(np.arange(len(dataset))).values["joint_state"][:, -1, 0]
    assert newest.tolist() == [10, 11, 12, 13, 14, 50, 51, 52, 53]


def test_row_to_minus_one_is_the_action_of_the_newest_observation(dataset):
    batch = dataset.gather(np.array([2]))
    assert batch.values["joint_state"][0, :, 0].tolist() == [11, 12]
    assert batch.actions[0, :, 0].tolist() == [11.5, 12.5, 13.5, 14.5]
    assert batch.mask[0].all()


def test_before_the_start_the_first_moment_is_repeated_and_its_row_is_masked(dataset):
    batch = dataset.gather(np.array([5]))
    assert batch.values["joint_state"][0, :, 0].tolist() == [50, 50]
    assert batch.values["camera"][0, :, 0, 0, 0].tolist() == [50, 50]
    assert batch.actions[0, :, 0].tolist() == [50.5, 50.5, 51.5, 52.5]
    assert batch.mask[0].tolist() == [False, True, True, True]


def test_beyond_the_end_the_last_row_is_repeated_and_masked(dataset):
    batch = dataset.gather(np.array([4]))
    assert batch.actions[0, :, 0].tolist() == [13.5, 14.5, 14.5, 14.5]
    assert batch.mask[0].tolist() == [True, True, False, False]


def test_behind_the_end_of_an_episode_that_stays_staying_is_learned():
    episodes = [counted(10, 5), counted(50, 4)]
    dataset = WindowDataset(episodes, n_obs_steps=2, horizon=4, stays=True)
    batch = dataset.gather(np.array([4, 5]))
    assert batch.actions[0, :, 0].tolist() == [13.5, 14.5, 14.5, 14.5]
    assert batch.mask.tolist() == [[True] * 4, [False, True, True, True]]


def test_no_window_reaches_into_another_episode(dataset):
    batch = dataset.gather(np.arange(len(dataset)))
    first = np.arange(len(dataset)) < 5
    for block in (batch.values["joint_state"], batch.actions):
        assert ((block < 30).all(axis=(1, 2)) == first).all()


def test_images_stay_bytes_and_vectors_become_float32(dataset):
    batch = dataset.gather(np.array([3, 0]))
    assert batch.values["camera"].dtype == np.uint8
    assert batch.values["camera"].shape == (2, 2, 2, 2, 3)
    assert batch.values["joint_state"].dtype == batch.actions.dtype == np.float32


def test_a_stream_can_be_put_in_place_of_another_of_its_name(dataset):
    images = dataset.moments("camera")
    assert images[:, 0, 0, 0].tolist() == [10, 11, 12, 13, 14, 50, 51, 52, 53]
    other = dataset.with_moments("camera", images[:, 0, 0, :1] / 2)
    batch, before = (each.gather(np.array([2, 5])) for each in (other, dataset))
    assert batch.values["camera"][:, :, 0].tolist() == [[5.5, 6], [25, 25]]
    assert np.array_equal(batch.values["joint_state"], before.values["joint_state"])
    assert before.values["camera"].shape == (2, 2, 2, 2, 3)
    with pytest.raises(ValueError, match="'camera' needs 9 values, got 8"):
        dataset.with_moments("camera", images[:8])


@pytest.mark.parametrize(("n_obs_steps", "horizon"), [(0, 4), (5, 4)])
def test_a_window_of_no_length_is_refused(n_obs_steps, horizon):
    with pytest.raises(ValueError, match="1 <= n_obs_steps <= horizon, got"):
        WindowDataset([counted(0, 3)], n_obs_steps, horizon)


def test_no_episodes_and_empty_episodes_are_refused():
    with pytest.raises(ValueError, match="no episodes"):
        WindowDataset([], 1, 4)
    with pytest.raises(ValueError, match="no moments"):
        WindowDataset([counted(0, 3), counted(0, 0)], 1, 4)


@pytest.mark.parametrize(
    ("count", "fraction", "held_out"), [(10, 0.2, 2), (10, 0.01, 1), (10, 0.0, 0), (1, 0.5, 0)]
)
def test_whole_episodes_are_held_out(count, fraction, held_out):
    training, validation = split_episodes([counted(0, 2)] * count, fraction, seed=0)
    assert len(validation) == held_out
    assert sorted(training + validation) == list(range(count))


def test_the_seed_chooses_the_held_out_episodes():
    episodes = [counted(0, 2)] * 40
    assert split_episodes(episodes, 0.2, 1) == split_episodes(episodes, 0.2, 1)
    assert split_episodes(episodes, 0.2, 1) != split_episodes(episodes, 0.2, 2)


def test_behind_the_end_a_velocity_is_zero_and_a_position_stays():
    episode = counted(10, 3)
    both = Episode(episode.stamps_s, {}, np.hstack([episode.actions, episode.actions]))
    dataset = WindowDataset([both], 1, 4, stays=True, are_velocities=np.array([True, False]))
    batch = dataset.gather(np.array([1]))
    assert batch.actions[0].tolist() == [[11.5, 11.5], [12.5, 12.5], [0.0, 12.5], [0.0, 12.5]]
    assert batch.mask.all()
    assert dataset.gather(np.array([1])).actions[0, 1, 0] == 12.5  # what is kept is not changed
