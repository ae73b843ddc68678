"""What a described graph stands for once the launch arguments are known: plain values.

Nothing here knows launch or starts a process: `launch_actions` and `supervisor` both take what
`resolve` returns, so a graph is the same under either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from ddpm_controller.ros.graph.description import (
    AnyOf,
    Argument,
    Choice,
    Equals,
    FirstOf,
    Graph,
    Plain,
    Process,
    Setting,
    Share,
    TextOf,
    Value,
    Variable,
    Words,
)
from ddpm_controller.share import share_path


@dataclass(frozen=True)
class ResolvedProcess:
    """A process with nothing left to choose; attributes as in `Process`."""

    executable: str
    name: str
    namespace: str
    parameters: Mapping[str, Plain]
    params_file: str
    remappings: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    lifecycle: bool
    autostart: bool
    required: bool
    respawn: bool
    log_level: str
    package: str = ""
    on_path: bool = False

    @property
    def full_name(self) -> str:
        """Absolute name of the node."""
        return "/".join(["", *self.namespace.strip("/").split("/"), self.name]).replace("//", "/")


@dataclass(frozen=True)
class ResolvedGraph:
    """A graph with nothing left to choose."""

    name: str
    processes: tuple[ResolvedProcess, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class GraphArgumentError(ValueError):
    """A launch argument is unknown or its value is not allowed; the text names both."""


def resolve(
    graph: Graph, given: Mapping[str, str], surroundings: Mapping[str, str]
) -> ResolvedGraph:
    """Return the graph as plain values.

    Args:
        graph: The description.
        given: Text of the launch arguments that were given.
        surroundings: The present environment variables.

    Raises:
        GraphArgumentError: For an argument that is unknown or a value that is refused.
    """
    unknown = sorted(set(given) - {argument.name for argument in graph.arguments})
    if unknown:
        known = [argument.name for argument in graph.arguments]
        raise GraphArgumentError(f"{graph.name} has no argument {unknown}; it has {known}")
    settings = {argument.name: setting(argument, given) for argument in graph.arguments}
    return ResolvedGraph(
        name=graph.name,
        processes=tuple(
            _resolved_process(process, settings)
            for process in graph.processes
            if plain(process.condition, settings)
        ),
        environment={
            variable.name: surroundings.get(variable.name)
            or _variable_text(variable.default, settings, surroundings)
            for variable in graph.environment
        },
    )


def default_text(argument: Argument) -> str:
    """Return the text of the argument's default, paths made absolute."""
    return str(plain(argument.default, {}))


def setting(argument: Argument, given: Mapping[str, str]) -> Plain:
    """Return the value of one argument in its own type.

    Raises:
        GraphArgumentError: When the text is not allowed or not of that type.
    """
    text = given.get(argument.name, default_text(argument))
    if argument.choices and text not in argument.choices:
        raise GraphArgumentError(
            f"{argument.name}:={text!r} is not one of {list(argument.choices)}"
        )
    try:
        return _boolean(text) if argument.kind is bool else argument.kind(text)
    except ValueError:
        raise GraphArgumentError(
            f"{argument.name}:={text!r} is not a {argument.kind.__name__}"
        ) from None


def plain(value: Value, settings: Mapping[str, Plain]) -> Plain:
    """Return what a value of the description stands for."""
    match value:
        case Setting(name):
            return settings[name]
        case Equals(name, text):
            return settings[name] == text
        case AnyOf(values):
            return any(plain(one, settings) for one in values)
        case FirstOf(values):
            return next((found for one in values if (found := plain(one, settings)) != ""), "")
        case Choice(name, of):
            return plain(dict(of)[str(settings[name])], settings)
        case Share(relative):
            return share_path(relative.format_map(settings))
        case TextOf(function, values):
            module, name = function.split(":")
            text = getattr(import_module(module), name)
            return str(text(*(plain(one, settings) for one in values)))
        case _:
            return value


def _variable_text(
    default: Value | Variable, settings: Mapping[str, Plain], surroundings: Mapping[str, str]
) -> str:
    if isinstance(default, Variable):
        return surroundings.get(default.name, "")
    return str(plain(default, settings))


def _resolved_process(process: Process, settings: Mapping[str, Plain]) -> ResolvedProcess:
    parameters = {name: plain(value, settings) for name, value in process.parameters}
    return ResolvedProcess(
        executable=process.executable,
        name=process.name,
        namespace=str(settings.get("namespace", "")),
        parameters={name: value for name, value in parameters.items() if value != ""},
        params_file=str(plain(process.params_file, settings)),
        remappings=tuple((old, str(plain(new, settings))) for old, new in process.remappings),
        arguments=tuple(word for value in process.arguments for word in _words(value, settings)),
        lifecycle=process.lifecycle,
        autostart=bool(plain(process.autostart, settings)),
        required=bool(plain(process.required, settings)),
        respawn=bool(plain(process.respawn, settings)),
        log_level=str(settings.get("log_level", "info")),
        package=process.package,
        on_path=process.on_path,
    )


def _words(value: Value | Words, settings: Mapping[str, Plain]) -> list[str]:
    if isinstance(value, Words):
        return str(plain(value.text, settings)).split()
    return [str(plain(value, settings))]


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise ValueError(text)
