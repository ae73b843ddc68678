"""The words in which a graph of processes is described, and nothing else.

Only words: `resolution` finds what they stand for once the launch arguments are known.
"""

from dataclasses import dataclass

Plain = bool | int | float | str


@dataclass(frozen=True)
class Setting:
    """The value of a launch argument, with the argument's own type."""

    name: str


@dataclass(frozen=True)
class Equals:
    """True where a launch argument has this text."""

    name: str
    text: str


@dataclass(frozen=True)
class AnyOf:
    """True where at least one of the values is."""

    values: tuple["Value", ...]


@dataclass(frozen=True)
class FirstOf:
    """The first value that is not an empty text; empty when all are."""

    values: tuple["Value", ...]


@dataclass(frozen=True)
class Share:
    """Absolute path of a file of this package; ``{world}`` is replaced by that argument."""

    relative: str


@dataclass(frozen=True)
class Choice:
    """What belongs to the text of a launch argument: pairs of text and value."""

    name: str
    of: tuple[tuple[str, "Value"], ...]


@dataclass(frozen=True)
class Words:
    """The words of a text, each of its own on a command line; none of an empty text."""

    text: "Value"


@dataclass(frozen=True)
class TextOf:
    """The text that a function returns; the function is imported when the graph is resolved.

    Attributes:
        function: ``<module>:<function>``.
        values: Its arguments.
    """

    function: str
    values: tuple["Value", ...]


@dataclass(frozen=True)
class Variable:
    """The text of an environment variable; empty where there is none."""

    name: str


@dataclass(frozen=True)
class Environment:
    """An environment variable that is set only where the user has not set it.

    Attributes:
        name: Name of the variable.
        default: Its value otherwise.
    """

    name: str
    default: "Value | Variable"


Value = Plain | Setting | Equals | AnyOf | FirstOf | Share | Choice | TextOf


@dataclass(frozen=True)
class Argument:
    """A launch argument.

    Attributes:
        name: As typed before ``:=``.
        default: Its text when not given.
        description: One sentence for ``--show-args``.
        kind: Python type of the value: bool, int, float or str.
        choices: The texts allowed; empty when all are.
    """

    name: str
    default: str | Share
    description: str
    kind: type = str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    """One process of a graph: a ROS node, or a command that uses the graph.

    Attributes:
        executable: Key of ``executables.EXECUTABLES``, or that of another package, or a program.
        name: Name of the node, without its namespace; empty for a command.
        parameters: Pairs of parameter name and value. One that resolves to an empty text is left
            out, so that the parameter file or the node's own default holds.
        params_file: Parameter file; parameters given above go before it.
        remappings: Pairs of topic names, from and to.
        arguments: Words of the command line.
        lifecycle: Whether the node has the managed life cycle.
        autostart: Whether to configure and activate it when it has started.
        required: Whether everything ends when this process does.
        respawn: Whether to start it again after it ended by itself.
        package: Whose executable it is; empty: this one's.
        on_path: Whether it is a program on PATH, which belongs to no package.
        condition: Whether to start it at all.
    """

    executable: str
    name: str = ""
    parameters: tuple[tuple[str, Value], ...] = ()
    params_file: Value = ""
    remappings: tuple[tuple[str, Value], ...] = ()
    arguments: tuple[Value | Words, ...] = ()
    lifecycle: bool = False
    autostart: Value = False
    required: Value = False
    respawn: Value = False
    package: str = ""
    on_path: bool = False
    condition: Value = True


@dataclass(frozen=True)
class Graph:
    """Processes that are started together.

    Attributes:
        name: ``launch/<name>.launch.py`` and ``start <name>``.
        description: One sentence.
        arguments: Launch arguments.
        processes: In the order of their start.
        environment: Variables of all processes.
    """

    name: str
    description: str
    arguments: tuple[Argument, ...]
    processes: tuple[Process, ...]
    environment: tuple[Environment, ...] = ()
