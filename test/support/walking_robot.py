"""A Go1 in its world under the control loop of its robot file, with the shipped walking policy."""

from dataclasses import replace
from functools import cache

import numpy as np

from ddpm_controller.control.deployment import Deployment, policy_terms
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.legged.go1_world import Go1World
from ddpm_controller.simulation.session import Session
from ddpm_controller.systems import restore

WALK = "models/go1_walk"


@cache
def walking_policy():
    return restore(share_path(WALK))


class WalkingRobot:
    """Steps world and loop together; a plan is there at the tick at which it is asked for.

    Attributes:
        plans: Whether the policy still answers.
        commands: What was sent, one command a tick.
    """

    def __init__(self, seed=0, request=(0.8, 0.0, 0.0), without=(), **changes):
        robot = load_robot(share_path("config/robots/go1.yaml"))
        self.world, self.policy = Go1World(), walking_policy()
        limits = replace(robot.limits(self.world.robot_description()), **changes)
        deployment = Deployment(lockstep=True)
        terms = policy_terms(self.policy, deployment)
        settings = loop_settings(robot, terms, deployment, limits=limits)
        settings = replace(settings, streams=self.policy.facts.streams)
        self.loop, self.plans, self.commands = ControlLoop(settings), True, []
        self._without = without
        self.loop.start(self.policy.initial_memory(seed))
        self._session = Session(self.world, 50.0, False, pictures=False)
        self._see(self._session.reset(seed))
        self.request(request)

    def request(self, request):
        self.world.lead(np.array(request, dtype=np.float64))

    @property
    def now_s(self):
        return self.tick.stamp_ns // 10**9 + self.tick.stamp_ns % 10**9 * 1e-9

    def run(self, seconds):
        for _ in range(round(seconds / self.world.tick_s)):
            request = self.loop.plan_request(self.now_s) if self.plans else None
            if request is not None:
                plan = self.policy.plan(request.window, request.memory)
                assert not self.loop.accept(plan, request)
            self.commands.append(self.loop.tick(self.now_s))
            self._see(self._session.step(self.commands[-1].position))
        return self

    def _see(self, tick):
        self.tick = tick
        for stream in self.policy.facts.streams:
            if stream.name not in self._without:
                value = vector_value(stream, tick, self.world)
                self.loop.observe(stream.name, self.now_s, value)
