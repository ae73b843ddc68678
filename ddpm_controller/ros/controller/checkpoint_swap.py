"""Takes another checkpoint, or other settings of it, while the controller runs."""

import itertools
from collections.abc import Callable
from typing import Any

from ddpm_msgs.srv import LoadCheckpoint
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future

from ddpm_controller.checkpoint import CheckpointError, load_manifest, refuse_mismatch
from ddpm_controller.control.parameter_names import NONE, OVERRIDES
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.trained_sources import SOURCES, compare_sources
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy, PolicyLoader
from ddpm_controller.ros.executor_calls import ExecutorCalls
from ddpm_controller.share import found_path

Use = Callable[[LoadedPolicy, Callable[[str], None]], None]


class CheckpointSwap:
    """Loads on a thread of its own and hands a policy over when it is ready; last request wins.

    All methods are called on the executor's thread.

    Args:
        node: Has the parameter ``checkpoint`` and gets the service ``~/load_checkpoint``.
        calls: Brings results to the executor's thread.
        in_use: Returns the policy that plans, or None.
        use: Takes a policy over and then calls back with the error, if any, from any thread.
        tell: Publishes a status soon.

    Attributes:
        error: Why another checkpoint is not in use; empty when nothing was refused.
    """

    def __init__(
        self,
        node: Node,
        calls: ExecutorCalls,
        in_use: Callable[[], LoadedPolicy | None],
        use: Use,
        tell: Callable[[], None],
    ) -> None:
        self._node, self._calls, self._in_use_now = node, calls, in_use
        self._use, self._tell = use, tell
        self._numbers = itertools.count(1)
        self._newest = 0
        self._asked: dict[int, Future] = {}
        self._loader: PolicyLoader | None = None
        self.error = ""
        self._robot: Robot | None = None
        self._setting_back = False
        group = ReentrantCallbackGroup()  # a load that is awaited must not block the node
        node.create_service(
            LoadCheckpoint, "~/load_checkpoint", self._on_service, callback_group=group
        )
        node.add_post_set_parameters_callback(self._on_parameters_set)

    def open(self, robot: Robot, load: Callable[[str], LoadedPolicy]) -> None:
        """Accept requests for checkpoints that fit ``robot``."""
        self.error = ""
        self._robot = robot
        self._loader = PolicyLoader(load, self._on_loaded)

    def fail(self, problem: str) -> None:
        """Note why the node could not be configured."""
        self.error = problem

    def close(self) -> None:
        """Forget what is being loaded."""
        self._newest = next(self._numbers)
        loader, self._loader = self._loader, None
        if loader is not None:
            loader.close()
        self._answer_all("the controller was cleaned up while it loaded")

    def problem(self, folder: str) -> str:
        """Return why ``folder`` cannot be meant, found without reading weights, or ""."""
        if self._robot is None or self._loader is None or self._setting_back:
            return ""  # it is validated when the node is configured
        try:
            manifest = load_manifest(found_path(folder))
            sources = manifest.provenance.get(SOURCES, {})
            refused = compare_sources(sources, self._robot.streams).refused
            refuse_mismatch(manifest, self._robot.stream_specs, self._robot.action_spec, refused)
        except CheckpointError as error:
            self._refused(folder, str(error))
            return str(error)
        except Exception as error:  # rclpy would leave the request without an answer
            problem = f"{folder}: {type(error).__name__}: {error}"
            self._refused(folder, problem)
            return problem
        return ""

    def request(self, folder: str) -> Future:
        """Load ``folder``; the future gives an error text, empty when it is in use."""
        future = Future()
        if self._loader is None:
            future.set_result("the controller is not configured: configure it first")
            return future
        self._answer_all(f"overtaken by a newer request: {folder}")
        self._newest = next(self._numbers)
        self._asked[self._newest] = future
        self._node.get_logger().info(f"loading {folder}")
        self._loader.request(self._newest, folder)
        return future

    async def _on_service(
        self, request: LoadCheckpoint.Request, response: LoadCheckpoint.Response
    ) -> LoadCheckpoint.Response:
        problem = self.problem(request.path) or await self.request(request.path)
        loaded = self._in_use_now()
        response.success = not problem
        response.message = problem or f"in use: {request.path}"
        response.checkpoint_hash = loaded.hash if loaded else ""
        return response

    def _on_parameters_set(self, parameters: list[Parameter]) -> None:
        if self._setting_back or not self._loader:
            return
        values = {each.name: each.value for each in parameters}
        loaded = self._in_use_now()
        if "checkpoint" in values:
            self.request(values["checkpoint"])
        elif OVERRIDES in values and loaded is not None:
            self.request(loaded.folder)  # the same once more, as it is set now

    def _on_loaded(self, number: int, loaded: LoadedPolicy | None, problem: str) -> None:
        """Called on the loader's thread."""
        self._calls.soon(lambda: self._take(number, loaded, problem))

    def _take(self, number: int, loaded: LoadedPolicy | None, problem: str) -> None:
        if number != self._newest:  # a newer choice stands
            return
        if loaded is None:
            self._keep_old(number, problem)
            return
        self._use(loaded, lambda text: self._calls.soon(lambda: self._used(number, loaded, text)))

    def _used(self, number: int, loaded: LoadedPolicy, problem: str) -> None:
        if problem:
            self._keep_old(number, problem)
        else:
            self._in_use(number, loaded)

    def _keep_old(self, number: int, problem: str) -> None:
        self._refused("", problem)
        self._show_in_use()
        self._answer(number, problem)

    def _in_use(self, number: int, loaded: LoadedPolicy) -> None:
        self._node.get_logger().info(
            f"in use: {loaded.folder} ({loaded.hash[:12]}), loaded in {loaded.load_time_s:.1f} s; "
            f"{loaded.policy.facts.text}"
        )
        if warning := loaded.policy.facts.warning:
            self._node.get_logger().warning(f"{loaded.folder}: {warning}")
        if number == self._newest:
            self.error = ""
            self._show_in_use()
        self._tell()
        self._answer(number, "")

    def _refused(self, folder: str, problem: str) -> None:
        self.error = problem
        self._node.get_logger().error(f"checkpoint refused, the old one is kept: {problem}")
        self._tell()

    def _show_in_use(self) -> None:
        """Let the parameter name the checkpoint that is in use."""
        loaded = self._in_use_now()
        shown: dict[str, Any] = {"checkpoint": loaded.folder if loaded else NONE}
        if loaded is not None:
            shown[OVERRIDES] = list(loaded.overrides)
        changed = [
            Parameter(name, Parameter.Type.STRING_ARRAY, value)
            if name == OVERRIDES
            else Parameter(name, value=value)
            for name, value in shown.items()
            if list(self._node.get_parameter(name).value or ()) != list(value)
        ]
        if not changed:
            return
        self._setting_back = True
        try:
            self._node.set_parameters(changed)
        finally:
            self._setting_back = False

    def _answer(self, number: int, problem: str) -> None:
        future = self._asked.pop(number, None)
        if future is not None:
            future.set_result(problem)

    def _answer_all(self, problem: str) -> None:
        for number in list(self._asked):
            self._answer(number, problem)
