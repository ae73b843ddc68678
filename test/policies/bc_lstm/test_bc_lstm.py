import dataclasses
import io

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, STATISTICS, STREAMS

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from ddpm_controller.policies.bc_lstm.policy import BcLstm, BcLstmConfig, BcLstmNetwork
from ddpm_controller.policy import PlanSettings
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

CONFIG = BcLstmConfig(
    n_obs_steps=8,
    horizon=6,
    n_action_steps=4,
    episode_steps=20,
    targets_per_episode=3,
    size=6,
    hidden=8,
    image_channels=(8, 8),
    num_keypoints=4,
    num_groups=4,
)


def network(streams=STREAMS, **changes):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, **changes)
    return BcLstmNetwork(config, ACTION_SPEC, streams, STATISTICS)


def policy(settings=None, **changes):
    return BcLstm(network(**changes), ACTION_SPEC, settings or PlanSettings())


def window(tick, steps=8):
    found = []
    for each in range(tick - steps + 1, tick + 1):
        random = np.random.default_rng(each + 100)
        image = random.integers(0, 256, (16, 20, 3), dtype=np.uint8)
        values = {"joint_state": random.uniform(0, 0.08, 2), "camera": image}
        found.append(Observation(0.1 * each, values))
    return found


def lived(mine, ticks):
    memory, plans = mine.initial_memory(0), []
    for tick in ticks:
        plans.append(mine.plan(window(tick, mine.facts.n_obs_steps), memory))
        memory = plans[-1].memory
    return plans


def test_a_plan_is_a_pure_function_also_of_a_memory_from_a_file():
    mine = policy()
    first, second = lived(mine, [0, 4])
    file = io.BytesIO()
    np.savez(file, **first.memory)
    file.seek(0)
    again = mine.plan(window(4), dict(np.load(file)))
    assert np.array_equal(again.traces["horizon"], second.traces["horizon"])
    assert first.memory["belief"].shape == (12,)  # hidden and cell
    assert second.chunk.actions.shape == (4, 2)
    assert second.chunk.start_s == pytest.approx(0.4)
    assert second.memory["plan_number"] == 2


def test_what_it_remembers_changes_what_it_does():
    mine = policy()
    fresh = mine.plan(window(8), mine.initial_memory(0))
    assert np.abs(lived(mine, [0, 4, 8])[-1].chunk.actions - fresh.chunk.actions).max() > 1e-6


def test_plans_in_a_batch_are_the_plans_alone():
    mine = policy()
    memories = [mine.initial_memory(0), lived(mine, [0])[0].memory, lived(mine, [0, 3])[-1].memory]
    together = mine.plan_batch([window(5)] * 3, memories)
    for memory, plan in zip(memories, together, strict=True):
        alone = mine.plan(window(5), memory)
        np.testing.assert_allclose(plan.chunk.actions, alone.chunk.actions, atol=1e-6)


def test_a_chunk_stays_in_the_range_of_the_data():
    mine = policy()
    mine.network.regression[-1].bias.data += 100.0
    highest = mine.plan(window(0), mine.initial_memory(0)).chunk.actions
    np.testing.assert_allclose(highest, [STATISTICS["action"]["max"]] * 4)


def batch(rows=4, length=20):
    random = np.random.default_rng(0)
    steps, total = CONFIG.training_window
    begun = random.integers(0, length - 3, rows)
    joints = random.uniform(0, 0.08, (rows, steps, 2))
    images = random.integers(0, 256, (rows, steps, 16, 20, 3), dtype=np.uint8)
    return {
        "values": {"joint_state": torch.from_numpy(joints), "camera": torch.from_numpy(images)},
        "actions": torch.from_numpy(random.uniform(0, 0.08, (rows, total, 2))).float(),
        "mask": torch.from_numpy(np.arange(total)[None] >= begun[:, None]),
    }


def test_the_loss_teaches_every_part():
    net = network().train()
    net.loss(batch(), torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_the_loss_falls():
    net, losses = network(streams=STREAMS[:1]).train(), []
    for step in range(12):
        net.zero_grad()
        loss = net.loss(batch(), torch.Generator().manual_seed(step % 3))
        loss.backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= 0.2 * weight.grad
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def saved(folder, config=CONFIG, **changes):
    save_checkpoint(
        folder,
        kind="bc_lstm",
        config={**dataclasses.asdict(config), **changes},
        action_spec=ACTION_SPEC,
        streams=STREAMS,
        statistics=STATISTICS,
        provenance={},
        weights=network().state_dict(),
    )
    return folder


def test_a_checkpoint_plans_as_the_network_that_was_saved(tmp_path):
    mine = restore(saved(tmp_path / "one"), PlanSettings(n_action_steps=2))
    assert isinstance(mine, BcLstm)
    again = mine.plan(window(0), mine.initial_memory(0))
    rows = policy().plan(window(0), policy().initial_memory(0)).chunk.actions
    assert np.array_equal(again.chunk.actions, rows[:2])
    assert mine.facts.checkpoint_hash == load_checkpoint(tmp_path / "one").hash


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="do not make a bc_lstm"):
        restore(saved(tmp_path / "two", size=4))
    with pytest.raises(CheckpointError, match=r"unknown fields \['widht'\]"):
        restore(saved(tmp_path / "three", widht=3))
    with pytest.raises(ValueError, match="n_action_steps must be between 1 and 6"):
        policy(PlanSettings(n_action_steps=7))
    with pytest.raises(ValueError, match="horizon = 6, got 9"):
        dataclasses.replace(CONFIG, n_action_steps=9)
    with pytest.raises(ValueError, match="a window has 8 observations, got 7"):
        policy().plan(window(0)[1:], policy().initial_memory(0))
    with pytest.raises(ValueError, match=r"\(8,\)"):
        policy().plan(window(0), policy(size=4).initial_memory(0))
