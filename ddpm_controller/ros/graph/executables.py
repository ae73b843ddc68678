"""What can be started by name: the nodes and the commands. It imports nothing."""

EXECUTABLES = {
    "controller": "ddpm_controller.ros.controller.node:main",
    "trainer": "ddpm_controller.ros.trainer.node:main",
    "simulation": "ddpm_controller.ros.simulation.node:main",
    "train": "ddpm_controller.cli.train:main",
    "lint": "ddpm_controller.cli.checks.lint:main",
    "index": "ddpm_controller.cli.index:main",
    "distill": "ddpm_controller.cli.distill:main",
    "demonstrate": "ddpm_controller.cli.demonstrate:main",
    "record": "ddpm_controller.cli.record:main",
    "replay": "ddpm_controller.cli.replay:main",
    "export": "ddpm_controller.cli.export:main",
    "evaluate": "ddpm_controller.cli.evaluate:main",
    "evaluate_nll": "ddpm_controller.cli.evaluate_nll:main",
    "fit_noise": "ddpm_controller.cli.fit.fit_noise:main",
    "calibrate_latency": "ddpm_controller.cli.calibrate_latency:main",
    "fit_out_of_distribution": "ddpm_controller.cli.fit.fit_out_of_distribution:main",
    "fit_state_reset": "ddpm_controller.cli.fit.fit_state_reset:main",
    "pusht_demonstrations": "ddpm_controller.cli.pusht_demonstrations:main",
    "demo": "ddpm_controller.cli.demo:main",
    "walk": "ddpm_controller.cli.walk:main",
    "start": "ddpm_controller.cli.start:main",
    "status": "ddpm_controller.cli.status:main",
    "new_robot": "ddpm_controller.cli.new_robot:main",
    "doctor": "ddpm_controller.cli.checks.doctor:main",
    "check": "ddpm_controller.cli.checks.check:main",
    "make_planner": "ddpm_controller.cli.planning.make_planner:main",
    "compare_rollouts": "ddpm_controller.cli.planning.compare_rollouts:main",
    "export_lerobot": "ddpm_controller.cli.lerobot.export_lerobot:main",
    "import_lerobot": "ddpm_controller.cli.lerobot.import_lerobot:main",
    "import_lerobot_policy": "ddpm_controller.cli.lerobot.import_lerobot_policy:main",
}
"""Name -> module and function; `ddpm` runs them, and executables/ has a file for each."""

NODES = ("controller", "trainer", "simulation")
"""The executables that are ROS nodes; the others are commands."""

THREADS = {"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
"""Environment of every process of ours, set before numpy is imported, where it has no other value:
numpy, torch and OpenCV would start a thread a core. What torch trains with is set by its own
option."""
