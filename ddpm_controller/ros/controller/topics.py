"""What the controller publishes: its status and its chunks."""

import time

import numpy as np
from ddpm_msgs.msg import ActionChunk, ControllerStatus
from ddpm_msgs.msg import Memory as MemoryMessage
from rclpy.duration import Duration as RosDuration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ddpm_controller.bags.element_stamps import element_stamps
from ddpm_controller.bags.memory_messages import packed
from ddpm_controller.control.plan_request import Takeover
from ddpm_controller.control.states import LimitCounts
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy
from ddpm_controller.ros.controller.status import Status
from ddpm_controller.ros.reason_log import ReasonLog
from ddpm_controller.ros.stamps import duration_from, time_from

_FACT_QOS = QoSProfile(
    depth=10,  # a recorder must see every change of state, not only the last one
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class ControllerTopics:
    """Status and chunks, and a line of the log; commands are published by ``CommandPublisher``.

    Args:
        node: Owner of the publishers.
    """

    def __init__(self, node: Node) -> None:
        self._status = node.create_publisher(ControllerStatus, "~/status", _FACT_QOS)
        self._chunks = node.create_publisher(ActionChunk, "~/action_chunk", QoSProfile(depth=10))
        self._memories = node.create_publisher(MemoryMessage, "~/memory", QoSProfile(depth=10))
        logger = node.get_logger()
        self._reasons = ReasonLog(logger.info, logger.warning)

    def tell(self, status: Status) -> None:
        """Publish a status, and log it where state or reason is another one."""
        self._reasons.note(status.state, status.reason, status.text, time.monotonic())
        message = ControllerStatus(
            state=int(status.state),
            reason=int(status.reason),
            text=status.text,
            checkpoint=status.checkpoint,
            checkpoint_hash=status.checkpoint_hash,
            checkpoint_error=status.checkpoint_error,
            engine=status.engine,
            plan_number=status.plan_number,
            seed=status.seed,
            control_rate_hz=status.control_rate_hz,
            ticks=status.ticks,
            missed_ticks=status.missed_ticks,
            tick_period_max_s=status.tick_period_max_s,
            inference_time_s=status.inference_time_s,
            observation_to_command_s=status.observation_to_command_s,
            limit_names=LimitCounts().names,
            limit_counts=list(status.limit_counts),
            surprise=status.surprise,
            out_of_distribution=status.out_of_distribution,
            out_of_distribution_limit=status.out_of_distribution_limit,
            state_age_s=status.state_age_s,
            prior_disagreement=status.prior_disagreement,
            state_spread=status.state_spread,
            state_resets=status.state_resets,
            state_reset_text=status.state_reset_text,
            departure=status.departure,
            departure_limit=status.departure_limit,
            stream_names=list(status.streams),
            stream_ages_s=[each.age_s for each in status.streams.values()],
            stream_arrival_ages_s=[each.arrival_age_s for each in status.streams.values()],
            stream_rates_hz=[each.rate_hz for each in status.streams.values()],
            stream_out_of_order=[each.out_of_order for each in status.streams.values()],
            masked_streams=[name for name, each in status.streams.items() if each.masked],
        )
        message.header.stamp = time_from(status.stamp_s)
        self._status.publish(message)

    def wait_until_heard(self, patience_s: float) -> None:
        """Return when every listener has the last status, or the patience is over."""
        self._status.wait_for_all_acked(RosDuration(seconds=patience_s))

    def tell_chunk(
        self,
        takeover: Takeover,
        used: LoadedPolicy,
        seed: int,
        stamp_s: float,
        inference_time_s: float,
    ) -> None:
        """Publish a chunk that is followed from the tick ``stamp_s`` on."""
        chunk, request = takeover.plan.chunk, takeover.request
        names = list(request.window[-1].values)
        sources_s = [o.source_stamps_s[name] for o in request.window for name in names]
        element_names, elements_s = element_stamps(request.window)
        facts, delay_s = used.policy.facts, request.expected_delay_s
        message = ActionChunk(
            start=time_from(chunk.start_s),
            period=duration_from(chunk.period_s),
            joint_names=list(chunk.joint_names),
            num_rows=len(chunk.actions),
            rows=chunk.actions.astype(np.float64).ravel().tolist(),
            plan_number=request.plan_number,
            seed=seed,
            # An approach is not the policy's: it cannot be made again with the checkpoint.
            checkpoint_hash="" if takeover.is_approach else used.hash,
            engine=facts.engine,
            num_inference_steps=request.num_inference_steps or facts.num_inference_steps,
            expected_delay_s=(facts.expected_delay_s or 0.0) if delay_s is None else delay_s,
            override_names=list(facts.settings),
            override_values=[str(value) for value in facts.settings.values()],
            requested=time_from(request.requested_s),
            observation_stamp=time_from(max(sources_s)),
            stream_names=names,
            window_stamps=[time_from(o.stamp_s) for o in request.window],
            source_stamps=[time_from(source_s) for source_s in sources_s],
            element_names=element_names,
            element_stamps=[time_from(element_s) for element_s in elements_s],
            masked_streams=list(request.window[-1].masked),
            inference_time_s=inference_time_s,
        )
        message.header.stamp = time_from(stamp_s)
        self._chunks.publish(message)

    def tell_memory(self, takeover: Takeover, used: LoadedPolicy, stamp_s: float) -> None:
        """Publish what the chunk that is followed from ``stamp_s`` on was made from."""
        arrays = packed(takeover.request.memory)
        message = MemoryMessage(
            plan_number=takeover.request.plan_number,
            memory_kind=used.policy.facts.memory_kind,
            names=arrays.names,
            dtypes=arrays.dtypes,
            num_dimensions=arrays.num_dimensions,
            shapes=arrays.shapes,
            data=arrays.data,
        )
        message.header.stamp = time_from(stamp_s)
        self._memories.publish(message)
