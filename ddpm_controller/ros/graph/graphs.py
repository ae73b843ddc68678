"""Every graph of processes, described once.

`launch/*.launch.py` and the command `start` both begin this description, see
`launch_actions` and `supervisor`.
"""

from ddpm_controller.ros.graph.description import (
    AnyOf,
    Argument,
    Choice,
    Environment,
    Equals,
    FirstOf,
    Graph,
    Process,
    Setting,
    Share,
    TextOf,
    Value,
    Variable,
    Words,
)
from ddpm_controller.simulation.worlds import WORLDS

_COMMON = (
    Argument("namespace", "", "Namespace of every node."),
    Argument(
        "log_level",
        "info",
        "Least severe log messages that are printed.",
        choices=("debug", "info", "warn", "error", "fatal"),
    ),
    Argument("use_respawn", "false", "Start a node again when it has ended by itself.", bool),
)
_USE_SIM_TIME = Argument(
    "use_sim_time", "false", "Take the time from /clock; a lockstep world always does.", bool
)
_CONTROLLER_ARGUMENTS = (
    Argument(
        "params_file",
        Share("config/controller.yaml"),
        "Parameter file of the controller; launch arguments that are given go before it.",
    ),
    Argument("autostart", "true", "Configure and activate the controller by itself.", bool),
    Argument("seed", "0", "Seed of the denoising noise.", int),
)
_ROBOT_ARGUMENT = Argument(
    "robot",
    Share("config/robots/sim_arm.yaml"),
    "Robot file: streams, topics, joints and the action.",
)
_WORLD_ROBOT_ARGUMENT = Argument(
    "robot",
    "",
    "Robot file: streams, topics, joints and the action; empty: that of the world.",
)
_ROBOT_FILES = tuple((name, Share(entry.robot)) for name, entry in WORLDS.items())
_CHECKPOINTS = tuple(
    (name, Share(entry.checkpoint or f"models/{name}")) for name, entry in WORLDS.items()
)
_ROBOT_OF_WORLD = FirstOf((Setting("robot"), Choice("world", _ROBOT_FILES)))
_WORLD_ARGUMENTS = (
    Argument("world", "pick_place", "World that is simulated.", choices=tuple(WORLDS)),
    Argument(
        "mode",
        "real_time",
        "real_time, or lockstep: time advances only when the command for it has come.",
        choices=("real_time", "lockstep"),
    ),
    Argument("world_seed", "0", "Seed of the world's first start.", int),
    Argument(
        "driver",
        "controllers",
        "What takes the commands in real time: controllers, of the types that the robot file "
        "names, or direct for single points.",
        choices=("controllers", "direct"),
    ),
)
_LOCKSTEP = Equals("mode", "lockstep")


def _controller(
    checkpoint: Value,
    robot: Value,
    sim_time: Value,
    more: tuple[tuple[str, Value], ...] = (),
) -> Process:
    """The lifecycle node `controller`, on a robot or in a simulated world."""
    return Process(
        "controller",
        name="controller",
        parameters=(
            ("use_sim_time", sim_time),
            ("checkpoint", checkpoint),
            ("robot", robot),
            ("seed", Setting("seed")),
            *more,
        ),
        params_file=Setting("params_file"),
        lifecycle=True,
        autostart=Setting("autostart"),
        respawn=Setting("use_respawn"),
    )


_RVIZ_ARGUMENT = Argument(
    "rviz", "false", "Start RViz with the predicted path, where rviz2 is installed.", bool
)


def _rviz(sim_time: Value) -> Process:
    return Process(
        "rviz2",
        name="rviz",
        parameters=(("use_sim_time", sim_time),),
        arguments=("-d", Share("config/rviz/controller.rviz")),
        package="rviz2",
        condition=Setting("rviz"),
    )


def _simulation(expert: Setting | bool) -> Process:
    return Process(
        "simulation",
        name="simulation",
        parameters=(
            ("world", Setting("world")),
            ("mode", Setting("mode")),
            ("seed", Setting("world_seed")),
            ("expert", expert),
            ("driver", Setting("driver")),
            ("robot", _ROBOT_OF_WORLD),
        ),
        respawn=Setting("use_respawn"),
    )


_ENVIRONMENT = (
    Environment("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"),
    # Fast DDS' own shared-memory segment is smaller than one VGA image.
    Environment("FASTRTPS_DEFAULT_PROFILES_FILE", Share("config/fastdds.xml")),
    # Without it the prints of a Python child come in blocks, long after the fact.
    Environment("PYTHONUNBUFFERED", "1"),
)
_WORLD_ENVIRONMENT = (
    *_ENVIRONMENT,
    Environment("MUJOCO_GL", "egl"),
    # A simulated arm takes commands from this machine only, whoever else is on the network.
    Environment("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
)

CONTROLLER = Graph(
    "controller",
    "The controller on a robot whose streams and command topic the robot file names.",
    (
        *_COMMON,
        _USE_SIM_TIME,
        *_CONTROLLER_ARGUMENTS,
        _ROBOT_ARGUMENT,
        _RVIZ_ARGUMENT,
        Argument("checkpoint", "", "Folder of the checkpoint; empty: as in the parameter file."),
    ),
    (
        _controller(Setting("checkpoint"), Setting("robot"), Setting("use_sim_time")),
        _rviz(Setting("use_sim_time")),
    ),
    _ENVIRONMENT,
)

SIMULATION = Graph(
    "simulation",
    "A simulated arm in its world.",
    (
        *_COMMON,
        _WORLD_ROBOT_ARGUMENT,
        *_WORLD_ARGUMENTS,
        Argument("expert", "false", "Let the scripted expert move the arm.", bool),
    ),
    (_simulation(Setting("expert")),),
    _WORLD_ENVIRONMENT,
)

_DEMO_ARGUMENTS = (
    *_COMMON,
    _USE_SIM_TIME,
    *_CONTROLLER_ARGUMENTS,
    _WORLD_ROBOT_ARGUMENT,
    *_WORLD_ARGUMENTS,
    Argument("checkpoint", "", "Folder of the checkpoint; empty: models/<world> as shipped."),
)
_DEMO_NODES = (
    _simulation(expert=False),
    _controller(
        FirstOf((Setting("checkpoint"), Choice("world", _CHECKPOINTS))),
        _ROBOT_OF_WORLD,
        sim_time=AnyOf((Setting("use_sim_time"), _LOCKSTEP)),
        more=(("lockstep", _LOCKSTEP), ("run_on_activate", False)),
    ),
)

ARM = Graph(
    "arm",
    "A simulated arm and its controller, which waits for RunPolicy goals.",
    (*_DEMO_ARGUMENTS, _RVIZ_ARGUMENT),
    (*_DEMO_NODES, _rviz(Setting("use_sim_time"))),
    _WORLD_ENVIRONMENT,
)

DEMO = Graph(
    "demo",
    "The shipped checkpoint on a few episodes; ends by itself with a table and a picture.",
    (
        *_DEMO_ARGUMENTS,
        Argument("episodes", "5", "Number of episodes.", int),
        Argument("trial_seed", "20000000", "Seed of the first episode.", int),
        Argument("output", "runs/demo", "Folder of the picture and the results."),
    ),
    (
        *_DEMO_NODES,
        Process(
            "demo",
            arguments=(
                "--attach",
                "--world",
                Setting("world"),
                "--episodes",
                Setting("episodes"),
                "--seed",
                Setting("trial_seed"),
                "--mode",
                Setting("mode"),
                "--output",
                Setting("output"),
                "--namespace",
                Setting("namespace"),
            ),
            required=True,
        ),
    ),
    _WORLD_ENVIRONMENT,
)

TRAIN = Graph(
    "train",
    "The trainer, which trains from bags when its action asks for it.",
    (
        *_COMMON,
        Argument(
            "params_file", "", "Parameter file of the trainer; empty: the node's own defaults."
        ),
    ),
    (
        Process(
            "trainer",
            name="trainer",
            params_file=Setting("params_file"),
            respawn=Setting("use_respawn"),
        ),
    ),
    _ENVIRONMENT,
)

_IN_GAZEBO = (
    Process(
        "robot_state_publisher",
        name="robot_state_publisher",
        parameters=(
            ("use_sim_time", True),
            (
                "robot_description",
                TextOf(
                    "ddpm_controller.simulation.arm.gazebo_description:gazebo_description",
                    (Share("config/gazebo/controllers.yaml"), Setting("namespace")),
                ),
            ),
        ),
        package="robot_state_publisher",
        respawn=Setting("use_respawn"),
    ),
    # Not the node `gzserver`: a name that it is given would be that of the controller manager too.
    Process(
        "gz",
        arguments=("sim", Words(Setting("gz_args")), Setting("world_file")),
        on_path=True,
        required=True,
    ),
    # These two wait for Gazebo and for its controller manager, do their work and end.
    Process(
        "create",
        name="spawn_arm",
        arguments=("-topic", "robot_description", "-name", "sim_arm"),
        package="ros_gz_sim",
    ),
    Process(
        "spawner",
        name="spawn_controllers",
        arguments=(
            *("joint_state_broadcaster", "joint_trajectory_controller"),
            # The topic of the robot file, in place of the controller's own.
            *("--controller-ros-args", "-r ~/joint_trajectory:=joint_trajectory"),
        ),
        package="controller_manager",
    ),
    Process(
        "parameter_bridge",
        name="gazebo_bridge",
        parameters=(("config_file", Share("config/gazebo/bridge.yaml")),),
        package="ros_gz_bridge",
        respawn=Setting("use_respawn"),
    ),
)

GAZEBO = Graph(
    "gazebo",
    "The arm in Gazebo, with ros2_control and cameras, and its controller.",
    (
        *_COMMON,
        *_CONTROLLER_ARGUMENTS,
        _ROBOT_ARGUMENT,
        _RVIZ_ARGUMENT,
        Argument(
            "checkpoint", Share("models/pick_place"), "Folder of the checkpoint that is run."
        ),
        Argument("world_file", Share("config/gazebo/pick_place.sdf"), "World of Gazebo (SDF)."),
        Argument(
            "gz_args",
            "-r -s",
            "Words for `gz sim`: -r begins at once, -s opens no window; on a machine without a "
            "display also --headless-rendering.",
        ),
    ),
    (
        *_IN_GAZEBO,
        _controller(Setting("checkpoint"), Setting("robot"), sim_time=True),
        _rviz(sim_time=True),
    ),
    (
        *_ENVIRONMENT,
        Environment("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
        # Gazebo does not look for plugins where the workspace has them.
        Environment("GZ_SIM_SYSTEM_PLUGIN_PATH", Variable("LD_LIBRARY_PATH")),
    ),
)

GRAPHS = {graph.name: graph for graph in (CONTROLLER, SIMULATION, ARM, DEMO, TRAIN, GAZEBO)}
"""Name -> graph; every one has launch/<name>.launch.py."""
