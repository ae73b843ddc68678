"""The faults of the list can still be planted; scripts/plant_faults.py plants them."""

from pathlib import Path

import yaml

HERE = Path(__file__).parent
DIFFUSION = HERE.parents[1] / "ddpm_controller" / "diffusion"
FAULTS = yaml.safe_load((HERE / "faults.yaml").read_text(encoding="utf-8"))


def test_every_fault_is_of_one_place_and_names_tests_that_exist():
    for fault in FAULTS:
        text = (DIFFUSION / fault["file"]).read_text(encoding="utf-8")
        assert text.count(fault["old"]) == 1, fault
        assert fault["new"] != fault["old"], fault
        assert (HERE / fault["tests"]).is_file(), fault


def test_there_are_enough_of_every_kind():
    assert len(FAULTS) >= 30
    kinds = {fault["kind"] for fault in FAULTS}
    assert {"index", "sign", "coefficient", "dtype", "condition", "spacing", "refusal"} <= kinds


def test_every_file_of_the_room_has_a_fault_or_only_interfaces():
    without = {"__init__.py", "forward_process.py"}
    files = {path.name for path in DIFFUSION.glob("*.py")} - without
    missing = files - {fault["file"] for fault in FAULTS}
    assert not missing, missing
