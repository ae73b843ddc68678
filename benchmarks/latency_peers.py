"""The peers of `latency.py`, in a process of their own with packages of their own, of
`peer_environment.py`.

Run as a program it is that process: a line of JSON in, a line of JSON out.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from peer_environment import PeerError, declare_operators, peer_python, peer_variables


class MissingPeersError(RuntimeError):
    """The packages of the peers cannot be installed or imported here."""


class Peers:
    """The other process.

    Args:
        threads: Threads that it computes with.

    Raises:
        MissingPeersError: It cannot be started.
    """

    def __init__(self, threads: int) -> None:
        try:
            python = peer_python()
        except PeerError as error:
            raise MissingPeersError(str(error)) from error
        self._process = subprocess.Popen(
            [python, __file__, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**peer_variables(), "OMP_NUM_THREADS": str(threads)},
        )
        self._ask({"do": "import"})

    def make(self, name: str, channels: Sequence[int]) -> None:
        """Make an arm for networks with these channels."""
        self._ask({"do": "make", "name": name, "channels": list(channels)})

    def plan(self, name: str) -> tuple[float, float]:
        """Return processor time and wall time of a plan, s."""
        cpu_s, wall_s = self._ask({"do": "plan", "name": name})
        return cpu_s, wall_s

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        if line := self._process.stdout.readline():
            return json.loads(line)
        errors = self._process.communicate()[1].strip().splitlines()
        raise MissingPeersError(errors[-1] if errors else "its process ended")


def lerobot_plan(channels: Sequence[int]) -> Callable[[], object]:
    """Return LeRobot's plan with a U-Net of these channels."""
    import torch
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

    config = DiffusionConfig(
        n_obs_steps=2,
        horizon=16,
        n_action_steps=8,
        input_features={
            "observation.state": PolicyFeature(FeatureType.STATE, (7,)),
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (7,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (7,))},
        down_dims=tuple(channels),
        kernel_size=5,
        noise_scheduler_type="DDIM",
        num_inference_steps=10,
        device="cpu",
    )
    policy = DiffusionPolicy(config).eval()
    seen = {"observation.state": torch.full((1, 7), 0.1)}
    seen["observation.environment_state"] = torch.full((1, 7), 0.1)

    def plan() -> object:
        policy.reset()
        return policy.select_action(dict(seen))

    return plan


def diffusers_plan(channels: Sequence[int]) -> Callable[[], object]:
    """Return a plain loop over our U-Net with the scheduler of diffusers."""
    import torch
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from ddpm_controller.networks.unet1d import ConditionalUnet1d

    unet = ConditionalUnet1d(
        action_dim=7,
        cond_dim=28,
        channels=channels,
        kernel_size=5,
        num_groups=8,
        timestep_dim=128,
    ).eval()
    scheduler = DDIMScheduler(
        num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=True
    )
    cond = torch.full((1, 28), 0.1)

    @torch.no_grad()
    def plan() -> object:
        scheduler.set_timesteps(10)
        sample = torch.randn(1, 16, 7)
        for t in scheduler.timesteps:
            answer = unet(sample, t[None], cond)
            sample = scheduler.step(answer, t, sample).prev_sample
        return sample.numpy()

    return plan


def serve(threads: int) -> None:
    """Answer until the questions end."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what the packages print is no answer
    import torch

    torch.set_num_threads(threads)
    plans: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        question, answer = json.loads(line), None
        if question["do"] == "import":
            declare_operators()
            import lerobot.policies.diffusion.modeling_diffusion  # noqa: F401
        elif question["do"] == "make":
            make = lerobot_plan if "LeRobot" in question["name"] else diffusers_plan
            plans[question["name"]] = make(question["channels"])
        else:
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            plans[question["name"]]()
            answer = (time.process_time() - cpu_s, time.perf_counter() - wall_s)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
