"""A policy's memory as a message and back, bit for bit; no rclpy: bags are read anywhere."""

import array
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_controller.bags.conversions import ConversionError
from ddpm_controller.types import Memory


@dataclass(frozen=True)
class PackedMemory:
    """The fields of ddpm_msgs/Memory that hold the arrays."""

    names: list[str]
    dtypes: list[str]
    num_dimensions: list[int]
    shapes: list[int]
    data: "array.array[int]"


def packed(memory: Memory) -> PackedMemory:
    """Return the arrays of a memory, one behind the other.

    Raises:
        ConversionError: One of them holds objects, which are no numbers.
    """
    arrays = {name: np.asarray(each) for name, each in memory.items()}
    data = array.array("B")
    for name, each in arrays.items():
        if each.dtype.hasobject:
            raise ConversionError(f"memory {name!r} is of {each.dtype}: only arrays of numbers")
        data.frombytes(each.tobytes())
    return PackedMemory(
        names=list(arrays),
        dtypes=[each.dtype.str for each in arrays.values()],
        num_dimensions=[each.ndim for each in arrays.values()],
        shapes=[size for each in arrays.values() for size in each.shape],
        data=data,
    )


def memory_from(message: Any) -> Memory:
    """Return the memory of a message of ddpm_msgs/Memory.

    Raises:
        ConversionError: Its fields do not fit one another.
    """
    data, shapes = bytes(message.data), [int(size) for size in message.shapes]
    memory: dict[str, np.ndarray] = {}
    begin = 0
    try:
        ranks = [int(rank) for rank in message.num_dimensions]
        for name, dtype, rank in zip(message.names, message.dtypes, ranks, strict=True):
            shape, shapes = tuple(shapes[:rank]), shapes[rank:]
            view: np.ndarray = np.ndarray(shape, np.dtype(dtype), data, begin)
            memory[name] = view.copy()
            begin += view.nbytes
    except (TypeError, ValueError) as error:
        raise ConversionError(f"memory of plan {message.plan_number}: {error}") from error
    if begin != len(data) or shapes:
        raise ConversionError(
            f"memory of plan {message.plan_number}: {len(data) - begin} bytes and {len(shapes)} "
            f"sizes are left behind {list(memory)}"
        )
    return memory
