"""The real controller on an invented machine: ``slow_controller.py FIXED_S PER_STEP_S TICK_S``."""

import itertools
import sys
from dataclasses import replace
from functools import partial

from ddpm_controller.ros.controller import parts as controller_parts
from ddpm_controller.ros.controller import planner
from ddpm_controller.ros.controller.node import main

measured = planner._answer
fixed_s, per_step_s, tick_s = map(float, sys.argv[1:4])


def invented(loaded, request):
    """A real plan that is said to have taken an invented time."""
    num_steps = request.num_inference_steps or loaded.policy.facts.num_inference_steps
    return replace(measured(loaded, request), inference_time_s=fixed_s + num_steps * per_step_s)


if __name__ == "__main__":
    planner._answer = invented
    ticks = itertools.count(0.0, tick_s).__next__
    controller_parts.check_rate = partial(controller_parts.check_rate, timer=ticks)
    del sys.argv[1:4]
    sys.exit(main())
