"""One arm of benchmarks/training.py, in a process of its own: ``training_arms.py NAME SETTINGS``.

Reads a number of updates from each line of its input, does them, and answers with their wall and
CPU time. All arms get the same sizes, windows of the same shapes and numbers of the same kind:
LeRobot's batches lie ready in memory, ours are gathered from episodes.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

STATE, ACTION, STEPS, HORIZON = 7, 7, 2, 16
NUM_BATCHES = 8

Settings = dict[str, object]
Step = Callable[[], None]


def lerobot(settings: Settings) -> Step:
    """LeRobot's policy as its trainer updates it: Adam, clipped gradients, a cosine schedule."""
    from peer_environment import declare_operators

    declare_operators()
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.optim.schedulers import DiffuserSchedulerConfig
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

    size, with_images = int(settings["image_size"]), bool(settings["images"])
    inputs = {"observation.state": PolicyFeature(FeatureType.STATE, (STATE,))}
    if with_images:
        inputs["observation.image"] = PolicyFeature(FeatureType.VISUAL, (3, size, size))
    else:
        inputs["observation.environment_state"] = PolicyFeature(FeatureType.ENV, (STATE,))
    config = DiffusionConfig(
        n_obs_steps=STEPS,
        horizon=HORIZON,
        n_action_steps=8,
        input_features=inputs,
        output_features={"action": PolicyFeature(FeatureType.ACTION, (ACTION,))},
        down_dims=tuple(settings["channels"]),
        kernel_size=5,
        n_groups=8,
        diffusion_step_embed_dim=128,
        crop_shape=None,
        pretrained_backbone_weights=None,
        device="cpu",
    )
    policy = DiffusionPolicy(config).train()
    optimizer = config.get_optimizer_preset().build(policy.get_optim_params())
    scheduler = DiffuserSchedulerConfig(name="cosine", num_warmup_steps=500).build(
        optimizer, 100_000
    )
    count = int(settings["batch_size"])
    batches = [_lerobot_batch(config, count, size, with_images) for _ in range(NUM_BATCHES)]
    number = iter(range(1 << 40))
    precision = settings["precision"] == "bfloat16"

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision):
            loss, _ = policy.forward(dict(batches[next(number) % NUM_BATCHES]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 10.0, error_if_nonfinite=False)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        loss.item()

    return step


def _lerobot_batch(config: object, count: int, size: int, with_images: bool) -> dict[str, object]:
    batch = {
        "observation.state": torch.rand(count, STEPS, STATE) * 2 - 1,
        "action": torch.rand(count, HORIZON, ACTION) * 2 - 1,
        "action_is_pad": torch.zeros(count, HORIZON, dtype=torch.bool),
    }
    if with_images:
        batch["observation.image"] = torch.rand(count, STEPS, 3, size, size)
    else:
        batch["observation.environment_state"] = torch.rand(count, STEPS, STATE) * 2 - 1
    return batch


def _material(settings: Settings) -> tuple[object, object]:
    """Return a recipe and what it learns from, of random episodes."""
    import numpy as np

    from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
    from ddpm_controller.training.config import TrainingConfig
    from ddpm_controller.training.material import material_from
    from ddpm_controller.types import ActionSpec, Episode, StreamSpec

    size = int(settings["image_size"])
    names = tuple("abcdefg")
    units = ("rad",) * STATE
    streams = [StreamSpec("joint_state", "vector", (STATE,), 50.0, names, units)]
    if settings["images"]:
        streams.append(StreamSpec("camera", "image", (size, size, 3), 25.0))
    else:
        others = tuple(f"object_{name}" for name in names)
        streams.append(StreamSpec("objects", "vector", (STATE,), 50.0, others, units))
    random = np.random.default_rng(0)
    episodes = []
    for number in range(20):
        values = {
            each.name: random.integers(0, 256, (100, *each.shape), np.uint8)
            if each.kind == "image"
            else random.uniform(-1, 1, (100, *each.shape))
            for each in streams
        }
        actions = random.uniform(-1, 1, (100, ACTION))
        episodes.append(Episode(np.arange(100) * 0.1, values, actions, f"episode {number}"))
    config = TrainingConfig(
        policy=DiffusionPolicyConfig(channels=tuple(settings["channels"])),
        batch_size=int(settings["batch_size"]),
        precision=str(settings["precision"]),
        num_steps=100_000,
        warmup_steps=500,
    )
    spec = ActionSpec(names, units, 0.1)
    return config, material_from(episodes, spec, streams, config, {})


def ours(settings: Settings) -> Step:
    """What `ddpm train` does for each update: batch, loss, clipped gradients, AdamW, average."""
    from ddpm_controller.training.processes import processes_for
    from ddpm_controller.training.run import _new_state
    from ddpm_controller.training.updates import LossModule, update

    config, material = _material(settings)
    processes = processes_for(config)
    state = _new_state(material, config, processes.device)
    module = processes.prepared(LossModule(state.network, config))

    def step() -> None:
        update(state, module, material.windows, config, processes)

    return step


def bare(settings: Settings) -> Step:
    """The limit: our network and loss in the shortest loop, without average, clipping and log."""
    import numpy as np

    from ddpm_controller.training.batches import tensors_from
    from ddpm_controller.training.processes import processes_for
    from ddpm_controller.training.run import _new_state
    from ddpm_controller.training.updates import LossModule

    config, material = _material(settings)
    state = _new_state(material, config, processes_for(config).device)
    module = LossModule(state.network, config)
    chosen = np.arange(config.batch_size * NUM_BATCHES).reshape(NUM_BATCHES, -1)
    batches = [tensors_from(material.windows, each, torch.device("cpu")) for each in chosen]
    generator = torch.Generator().manual_seed(0)
    number = iter(range(1 << 40))

    def step() -> None:
        batch = {**batches[next(number) % NUM_BATCHES], "progress": 0.5}
        state.optimizer.zero_grad(set_to_none=True)
        module(batch, generator).backward()
        state.optimizer.step()

    return step


ARMS = {"lerobot": lerobot, "ours": ours, "bare": bare}


def main() -> None:
    """Answer on the output until the input ends."""
    name, settings = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(int(settings["threads"]))
    torch.manual_seed(0)
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer
    step = ARMS[name](settings)
    for _ in range(2):
        step()
    print(json.dumps({"ready": str(Path(sys.executable))}), file=answers, flush=True)
    for line in sys.stdin:
        begin_s, cpu_s = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        times = {"wall_s": time.perf_counter() - begin_s, "cpu_s": time.process_time() - cpu_s}
        print(json.dumps(times), file=answers, flush=True)


if __name__ == "__main__":
    main()
