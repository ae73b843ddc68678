"""A student of a small policy: through the same trainer, resumed as any other, run unchanged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, CONFIG, STATISTICS, STREAMS

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint
from ddpm_controller.networks.unet1d import ConditionalUnet1d
from ddpm_controller.policies.consistency_policy.config import AS_STUDENT, ConsistencyConfig
from ddpm_controller.policies.consistency_policy.network import ConsistencyNetwork
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policy import PlanSettings
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingError
from ddpm_controller.types import Observation


@pytest.fixture(scope="module")
def tiny():
    import tiny_training

    return tiny_training


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_curves", "draw_samples"):
            patch.setattr(f"ddpm_controller.training.run.{name}", lambda *arguments: None)
        yield


@pytest.fixture(scope="module")
def teacher(tiny, tmp_path_factory):
    output = tmp_path_factory.mktemp("teacher")
    return tiny.train_tiny(output).last_checkpoint


def recipe(tiny, teacher):
    policy = ConsistencyConfig.of(load_checkpoint(teacher), 1, levels=4)
    return replace(
        tiny.CONFIG, kind="consistency_policy", policy=policy, initial_checkpoint=str(teacher)
    )


@pytest.fixture(scope="module")
def distilled(tiny, teacher, tmp_path_factory):
    """Output of a distillation that nothing has disturbed."""
    output = tmp_path_factory.mktemp("distilled")
    tiny.train_tiny(output, recipe(tiny, teacher))
    return output


def made(**changes):
    torch.manual_seed(0)
    teacher = replace(CONFIG, **changes)
    config = ConsistencyConfig(replace(teacher, **AS_STUDENT), teacher, levels=4)
    return ConsistencyNetwork(config, ACTION_SPEC, STREAMS, STATISTICS)


def begun(**changes):
    network = made(**changes)
    torch.manual_seed(1)
    network.begin_with(
        DiffusionPolicyNetwork(
            replace(CONFIG, **changes), ACTION_SPEC, STREAMS, STATISTICS
        ).state_dict()
    )
    return network.train()


def batch(rows=3, progress=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "values": {
            "joint_state": torch.rand(rows, 2, 2, generator=generator) * 0.08,
            "camera": torch.randint(0, 255, (rows, 2, 16, 20, 3), generator=generator).byte(),
        },
        "actions": torch.rand(rows, 8, 2, generator=generator) * torch.tensor([2.0, 0.08]),
        "mask": torch.ones(rows, 8, dtype=torch.bool),
        "progress": progress,
    }


def test_what_comes_out_is_a_diffusion_policy_that_plans_in_one_evaluation(
    tiny, teacher, distilled, monkeypatch
):
    before, after = load_checkpoint(teacher), load_checkpoint(distilled / "checkpoints" / "last")
    assert after.manifest.kind == "diffusion_policy"
    assert set(after.weights) == set(before.weights)
    assert after.manifest.statistics == before.manifest.statistics
    assert after.manifest.provenance["initial_checkpoint"] == before.hash
    config = after.manifest.config
    assert (config["prediction"], config["sampler"], config["spacing"]) == (
        "v",
        "consistency",
        "signal",
    )
    asked, counted = [], ConditionalUnet1d.denoise_modulated
    monkeypatch.setattr(
        ConditionalUnet1d,
        "denoise_modulated",
        lambda *call: asked.append(1) or counted(*call),
    )
    policy = restore(
        distilled / "checkpoints" / "best", PlanSettings(overrides={"seam": "switch"})
    )
    asked.clear()
    episode = tiny.episodes()[0]
    window = [
        Observation(episode.stamps_s[at], {k: v[at] for k, v in episode.values.items()})
        for at in (5, 6)
    ]
    plan = policy.plan(window, policy.initial_memory(0))
    assert len(asked) == 1
    assert np.isfinite(plan.chunk.actions).all()


def test_only_the_unet_learns(teacher, distilled):
    before, after = load_checkpoint(teacher), load_checkpoint(distilled / "checkpoints" / "last")
    for name, weight in before.weights.items():
        learns = name.startswith("unet.")
        assert learns or torch.equal(weight, after.weights[name]), name
    name = "unet.out.weight"
    assert not torch.equal(before.weights[name], after.weights[name])


def test_a_stopped_distillation_ends_with_the_same_bits(tiny, teacher, distilled, tmp_path):
    """Also where the number of levels has grown meanwhile, and the target with its average."""
    config, steps = recipe(tiny, teacher), []
    tiny.train_tiny(
        tmp_path,
        config,
        on_progress=lambda progress: steps.append(progress.step),
        should_stop=lambda: len(steps) == 5,
    )
    assert tiny.train_tiny(tmp_path, config).finished
    assert tiny.trace(tmp_path) == tiny.trace(distilled)


def test_a_student_learns_what_its_teacher_plans():
    """On one batch: the loss in evaluation mode is the distance to the teacher's plans."""
    network = begun(prediction="x0")
    optimizer = torch.optim.Adam(network.student.unet.parameters(), 3e-3)

    def distance():
        with torch.no_grad():
            return float(network.eval().loss(batch(), torch.Generator().manual_seed(9), 4))

    before = distance()
    network.train()
    for step in range(40):
        optimizer.zero_grad()
        loss = network.loss(
            batch(progress=step / 40), torch.Generator().manual_seed(step), noise_draws=8
        )
        loss.backward()
        optimizer.step()
    assert distance() < 0.5 * before


def test_the_target_follows_the_student_once_an_update():
    network = begun()
    name = "unet.out.bias"
    network.loss(batch(), torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.student.get_parameter(name).add_(1.0)
    before = network.target.get_parameter(name).clone()
    for _ in range(2):  # two parts of one batch
        network.loss(batch(progress=0.1), torch.Generator().manual_seed(0))
    moved = network.target.get_parameter(name) - before
    torch.testing.assert_close(moved, torch.full_like(moved, 0.05))
    assert not network.target.get_parameter(name).requires_grad
    assert not any(each.requires_grad for each in network.teacher.parameters())


def test_a_teacher_with_a_learned_variance_leaves_it_to_itself():
    network = begun(variance="learned_range", timestep_sampling="loss_second_moment")
    out = network.teacher.unet.out.weight
    assert torch.equal(network.student.unet.out.weight, out[: len(out) // 2])
    assert torch.isfinite(network.loss(batch(), torch.Generator().manual_seed(0)))


def test_a_students_prefix_is_trained_with_the_rows_that_its_teacher_is_given():
    """Clean, the same for all three networks, and what is answered there counts nothing."""
    network = begun(prefix_rows=5)
    losses = []
    for wrong in (0.0, 100.0):
        seen = {}

        def hook(name, wrong=wrong, seen=seen):
            def hooked(module, inputs, answer):
                seen[name] = inputs[0]
                return answer + wrong * inputs[0][..., -1:]

            return hooked

        names = ("student", "teacher", "target")
        hooks = [getattr(network, n).unet.register_forward_hook(hook(n)) for n in names]
        with torch.no_grad():
            chunks = batch(progress=0.9)
            losses.append(network.loss(chunks, torch.Generator().manual_seed(3), 8).item())
        for each in hooks:
            each.remove()
        column = seen["student"][..., -1] == 1
        assert 0 < column.float().mean() < 5 / 8
        x0 = network.teacher.normalized_actions(chunks).repeat_interleave(8, dim=0)
        for name in names:
            assert torch.equal(seen[name][..., -1] == 1, column)
            assert torch.equal(seen[name][..., :-1][column], x0[column])
    assert losses[0] == losses[1]


def test_levels_double_until_a_share_of_the_training():
    config = ConsistencyConfig(levels=12, growing_share=0.5)
    found = [config.levels_at(progress) for progress in (0.0, 0.13, 0.26, 0.38, 0.5, 0.99)]
    assert found == [1, 2, 4, 8, 12, 12]
    assert ConsistencyConfig(levels=1).levels_at(0.0) == 1
    assert ConsistencyConfig(levels=5, growing_share=0.0).levels_at(0.0) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": 0}, "levels must be between 1 and 100, got 0"),
        ({"levels": 101}, "got 101"),
        ({"target_decay": 1.0}, r"target_decay must be in \[0, 1\), got 1.0"),
    ],
)
def test_numbers_that_break_a_rule_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ConsistencyConfig(**changes)


def test_a_distillation_without_a_teacher_is_refused(tiny, teacher, tmp_path):
    config = replace(recipe(tiny, teacher), initial_checkpoint="")
    with pytest.raises(TrainingError, match="needs its teacher.*'diffusion_policy'"):
        tiny.train_tiny(tmp_path, config)


def test_a_teacher_of_other_sizes_is_refused_with_both_sides(tiny, teacher, tmp_path):
    config = recipe(tiny, teacher)
    wider = replace(config.policy, policy=replace(config.policy.policy, channels=(16, 32)))
    with pytest.raises(TrainingError, match=r"channels: \(8, 16\) there, \(16, 32\) here"):
        tiny.train_tiny(tmp_path, replace(config, policy=wider))


def test_recordings_beyond_the_teachers_ranges_are_refused(tiny, teacher, tmp_path):
    far = [replace(each, actions=3 * each.actions) for each in tiny.episodes()]
    config = recipe(tiny, teacher)
    with pytest.raises(TrainingError, match="frozen base, whose ranges cannot follow"):
        tiny.train(far, tiny.SPEC, tiny.STREAMS, config, tmp_path)


def test_a_teacher_of_another_kind_is_refused_with_both_kinds(tiny, teacher):
    checkpoint = load_checkpoint(teacher)
    other = replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"kind": "mip"}))
    with pytest.raises(CheckpointError, match="kind 'diffusion_policy', this .* of kind 'mip'"):
        ConsistencyConfig.of(other, 2, 8)


def test_the_trainings_own_kind_is_no_policy(teacher):
    checkpoint = load_checkpoint(teacher)
    manifest = checkpoint.manifest.model_copy(update={"kind": "consistency_policy"})
    with pytest.raises(CheckpointError, match="is a training"):
        restore(replace(checkpoint, manifest=manifest))
