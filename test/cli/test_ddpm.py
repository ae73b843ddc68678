"""`ddpm`: one name on the PATH; every command behind it, and where an installation puts them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_controller.cli.main import COMMANDS, main, shown
from ddpm_controller.ros.graph.executables import EXECUTABLES, NODES

ROOT = Path(__file__).parents[2]
NAMES = [name for commands in COMMANDS.values() for name in commands]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "ddpm_controller.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_help_lists_every_command_once(capsys):
    assert sorted(NAMES) == sorted(EXECUTABLES)
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in NAMES:
        assert sum(line.startswith(f"  {shown(name)} ") for line in lines) == 1
    assert max(map(len, lines)) < 100


def test_the_help_imports_neither_torch_nor_ros_nor_tyro():
    program = (
        "import sys; from ddpm_controller.cli.main import main; main(['--help']); "
        "sys.exit(str({'torch', 'rclpy', 'tyro', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"


def test_without_a_command_the_help_is_printed_and_the_exit_code_is_2(capsys):
    assert main([]) == 2
    assert "usage: ddpm COMMAND" in capsys.readouterr().out


def test_an_unknown_command_is_refused_with_the_nearest_one(capsys):
    assert main(["trian"]) == 2
    assert "no command 'trian'; did you mean train" in capsys.readouterr().err
    assert main(["xyzzy"]) == 2
    assert "see `ddpm --help`" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fit-noise", "fit_noise"])
def test_dashes_and_underscores_name_the_same_command(name, monkeypatch):
    monkeypatch.setattr("ddpm_controller.cli.fit.fit_noise.main", lambda: 7)
    monkeypatch.setattr(sys, "argv", ["restored"])
    assert main([name, "some", "--words"]) == 7
    assert sys.argv == ["ddpm fit-noise", "some", "--words"]


@pytest.mark.parametrize("name", sorted(set(EXECUTABLES) - set(NODES)))
def test_every_command_explains_itself_by_the_name_that_is_typed(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["restored"])
    try:
        code = main([shown(name), "--help"])
    except SystemExit as ended:
        code = ended.code
    written = "".join(capsys.readouterr())
    assert code == 0
    assert f"usage: ddpm {shown(name)} " in written


@pytest.mark.parametrize("name", NODES)
def test_the_help_of_a_node_is_its_parameters_and_starts_nothing(name, capsys):
    assert main([name, "--help"]) == 0
    written = capsys.readouterr().out
    known = {
        "controller": "checkpoint:='none'",
        "trainer": "device:='as_recipe'",
        "simulation": "mode:=",
    }
    assert f"usage: ddpm {name} [--ros-args" in written
    assert known[name] in written


def test_a_node_gets_the_words_that_ros_understands():
    done = run("simulation", "--ros-args", "-p", "world:=moon")
    assert done.returncode == 1
    assert "parameter world must be one of" in done.stderr


def test_an_installation_puts_one_name_on_the_path_and_all_where_ros2_run_looks(tmp_path):
    """A real installation by pip, of a part, copied since pip builds inside the folder."""
    copy, prefix = tmp_path / "copy", tmp_path / "prefix"
    for name in ("ddpm_controller/cli", "executables", "resource"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True)
    for name in ("setup.py", "pyproject.toml", "package.xml", "ddpm_controller/__init__.py"):
        shutil.copy(ROOT / name, copy / name)
    words = ["--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--prefix", prefix]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--ignore-installed", *words, copy]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.listdir(prefix / "bin") == ["ddpm"]
    library = prefix / "lib" / "ddpm_controller"
    assert set(os.listdir(library)) == {"ddpm", *EXECUTABLES}
    for words in ([library / "start"], [library / "ddpm", "start"]):
        done = subprocess.run([*words, "--help"], capture_output=True, text=True)
        assert done.stderr.startswith("usage: ddpm start "), done.stderr


def test_a_command_starts_no_thread_a_core_unless_the_user_sets_how_many(monkeypatch):
    monkeypatch.setattr("ddpm_controller.cli.fit.fit_noise.main", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["restored"])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert main(["fit-noise"]) == 0
    assert os.environ["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert main(["fit-noise"]) == 0
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize("error", [OSError("no\nroom"), ValueError("no\nroom"), MemoryError()])
def test_what_a_command_cannot_use_is_one_line(error, monkeypatch, capsys):
    def fails():
        raise error

    monkeypatch.setattr("ddpm_controller.cli.fit.fit_noise.main", fails)
    monkeypatch.setattr(sys, "argv", ["restored"])
    assert main(["fit-noise"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ddpm fit-noise: ")
    monkeypatch.setenv("DDPM_TRACEBACK", "1")
    with pytest.raises(type(error)):
        main(["fit-noise"])


def test_a_mistake_in_this_package_is_not_hidden(monkeypatch):
    monkeypatch.setattr("ddpm_controller.cli.fit.fit_noise.main", lambda: {}["missing"])
    monkeypatch.setattr(sys, "argv", ["restored"])
    with pytest.raises(KeyError):
        main(["fit-noise"])


REFUSED = {
    "threads": (["--torch-num-threads", "0"], "torch_num_threads must be 1 to 256, got 0"),
    "many threads": (["--torch-num-threads", "1000"], "got 1000"),
    "device": (["--device", "toaster"], "device 'toaster' cannot be used"),
    "no such device": (["--device", "cuda:99"], "device 'cuda:99' cannot be used"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_replay_refuses_threads_and_devices_before_it_reads_a_bag(case, tmp_path, capsys):
    from ddpm_controller.cli import replay

    words, text = REFUSED[case]
    assert replay.main([str(tmp_path / "none"), "--checkpoint", "none", *words]) == 2
    assert text in " ".join(capsys.readouterr().out.split())


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    from ddpm_controller.cli import evaluate_nll

    (tmp_path / "file").touch()
    words = ["--checkpoint", "none", "--bags", "none", "--output", str(tmp_path / "file" / "x")]
    assert evaluate_nll.main(words) == 1
    assert "nothing can be written there" in " ".join(capsys.readouterr().out.split())


def test_an_option_whose_earlier_values_would_be_lost_is_refused(capsys):
    words = ["train", "--bags", "a", "--robot", "r.yaml", "--bags=b"]
    assert main(words) == 2
    assert "--bags is given twice" in capsys.readouterr().err
    assert "given twice" not in run("export", "nowhere", "--set", "a=1", "--set", "b=2").stderr
