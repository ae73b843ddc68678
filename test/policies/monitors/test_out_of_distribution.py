import dataclasses
import os

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, CONFIG, STATISTICS, STREAMS, network

from ddpm_controller.checkpoint import (
    OUT_OF_DISTRIBUTION_NAME,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.monitors.out_of_distribution import (
    fit_feature_distance,
    load_feature_distance,
    save_feature_distance,
)
from ddpm_controller.policy import PlanSettings
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation


def normal(seed, rows=4000):
    """Correlated features: (a, a + b / 10, 3 + c)."""
    a, b, c = torch.randn(3, rows, generator=torch.Generator().manual_seed(seed)).double()
    return torch.stack([a, a + b / 10, 3 + c], dim=1)


def test_the_distance_counts_standard_deviations_along_what_varied_in_training():
    fitted = fit_feature_distance(normal(0), normal(1))
    assert float(fitted.of(fitted.mean[None])) == 0
    # 1 over features of a standard normal, less the shrinkage of the narrow one.
    assert float(fitted.of(normal(2)).square().mean()) == pytest.approx(1, abs=0.1)
    along = fitted.mean + torch.tensor([2.0, 2.0, 0.0])
    across = fitted.mean + torch.tensor([1.4, -1.4, 0.0])  # as far, against the correlation
    near, far = fitted.of(torch.stack([along, across])).tolist()
    assert near == pytest.approx(2 / 3**0.5, rel=0.05)
    assert far > 10 * near


def test_the_limit_is_the_higher_quantile_of_training_and_held_out():
    fitted = fit_feature_distance(normal(0), normal(1), 0.99)
    assert float((fitted.of(normal(3)) > fitted.limit).double().mean()) == pytest.approx(
        0.01, abs=0.006
    )
    strange = fit_feature_distance(normal(0), normal(1) + 5.0, 0.99)
    assert strange.limit > 2 * fitted.limit
    narrow = fit_feature_distance(normal(0), normal(1)[:1] * 0 + fitted.mean, 0.99)
    assert narrow.limit == pytest.approx(fitted.limit, rel=0.1)


def test_a_feature_that_never_varied_is_finite_and_is_noticed_when_it_moves():
    still = torch.cat([normal(0), torch.full((4000, 1), 0.7).double()], dim=1)
    fitted = fit_feature_distance(still, still)
    moved = still[:1].clone()
    moved[0, 3] += 1.0
    assert torch.isfinite(fitted.whitening).all()
    assert float(fitted.of(moved)) > fitted.limit


@pytest.mark.parametrize("sizes", [(1, 1), (5, 0)])
def test_too_little_is_refused(sizes):
    with pytest.raises(ValueError, match="2 windows of training"):
        fit_feature_distance(normal(0)[: sizes[0]], normal(1)[: sizes[1]])


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(
        tmp_path,
        kind="diffusion_policy",
        config=dataclasses.asdict(CONFIG),
        action_spec=ACTION_SPEC,
        streams=STREAMS,
        statistics=STATISTICS,
        provenance={},
        weights=network().state_dict(),
    )
    return tmp_path


def distance_of(policy):
    dim = policy.network.cond_dim
    values = torch.randn(50, dim, generator=torch.Generator().manual_seed(0))
    return fit_feature_distance(values, values)


def window(joint):
    values = {"joint_state": np.array([joint, 0.04]), "camera": np.zeros((16, 20, 3), np.uint8)}
    return [Observation(float(k), values) for k in range(CONFIG.n_obs_steps)]


def test_a_plan_tells_the_distance_and_is_the_same_bit_for_bit(saved):
    plain = restore(saved)
    plan = plain.plan(window(0.3), plain.initial_memory(3))
    assert "out_of_distribution" not in plan.traces
    distance = distance_of(plain)
    save_feature_distance(saved, plain.facts.checkpoint_hash, distance)
    telling = restore(saved)
    assert telling.facts.checkpoint_hash == plain.facts.checkpoint_hash
    told = telling.plan(window(0.3), telling.initial_memory(3))
    np.testing.assert_array_equal(told.chunk.actions, plan.chunk.actions)
    assert told.traces["out_of_distribution_limit"] == distance.limit
    values = {
        name: np.stack([each.values[name] for each in window(0.3)])[None]
        for name in ("joint_state", "camera")
    }
    expected = float(distance.of(telling.features(values)))
    assert told.traces["out_of_distribution"] == pytest.approx(expected)
    far = telling.plan(window(9.0), telling.initial_memory(3))
    assert far.traces["out_of_distribution"] > told.traces["out_of_distribution"]


def test_a_file_of_another_checkpoint_or_a_damaged_one_is_refused_with_the_remedy(saved):
    plain = restore(saved)
    distance = distance_of(plain)
    save_feature_distance(saved, "0" * 64, distance)
    with pytest.raises(CheckpointError, match="is for checkpoint 000000000000.*remove it"):
        restore(saved)
    save_feature_distance(saved, plain.facts.checkpoint_hash, distance)
    path = saved / OUT_OF_DISTRIBUTION_NAME
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="damaged or changed"):
        restore(saved)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        restore(saved)
    save_feature_distance(saved, plain.facts.checkpoint_hash, distance)
    with pytest.raises(CheckpointError, match="damaged or changed"):
        load_feature_distance(saved, plain.facts.checkpoint_hash, len(distance.mean) + 1)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="not a regular file"):
        restore(saved)


def test_a_new_checkpoint_in_the_folder_takes_the_file_of_the_old_one_away(saved):
    old = load_checkpoint(saved)
    save_feature_distance(saved, old.hash, distance_of(restore(old)))
    manifest = old.manifest
    save_checkpoint(
        saved,
        kind=manifest.kind,
        config=manifest.config,
        action_spec=manifest.action_spec,
        streams=manifest.streams,
        statistics=manifest.statistics,
        provenance={"seed": 1},
        weights=old.weights,
    )
    assert not (saved / OUT_OF_DISTRIBUTION_NAME).exists()
    assert restore(saved).distance is None


def test_the_training_range_is_that_of_the_statistics():
    policy = DiffusionPolicy(network(), ACTION_SPEC, PlanSettings())
    np.testing.assert_allclose(policy.facts.training_range.state_low, [-2.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(policy.facts.training_range.action_high, [2.0, 0.08])
