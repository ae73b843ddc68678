# Two commands on a fresh machine: `make demo` and `make test`. Everything else is set up by them, once.
#
#   PYTHON      interpreter for the environment, 3.11 or 3.12
#   TORCH_SPEC  what pip installs as torch
#   PIP_ARGS    words added to every `pip install`. Where pip would take the CUDA build of torch, name PyTorch's
#               own index of CPU wheels here:  make demo PIP_ARGS="--extra-index-url ..."
#   DEMO_ARGS   words for `demo`, for example DEMO_ARGS="--episodes 3"
#   TEST_ARGS   words for pytest, for example TEST_ARGS="test/control -x"
#   TEST_JOBS   processes that run tests at the same time, one for each core that is free

SHELL := /bin/bash
VENV := .venv
TORCH_SPEC ?= torch==2.13.0
PIP_ARGS ?=
DEMO_ARGS ?=
TEST_ARGS ?=
TEST_JOBS ?= 2
PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)
SETUP := $(PYTHON) scripts/setup_environment.py --torch "$(TORCH_SPEC)" --pip-args "$(PIP_ARGS)"

# A sourced ROS or another environment of wheels would lead astray; .venv sets what it needs itself.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export OMP_NUM_THREADS ?= 1

# The tests of a file stay together: they share processes, trainings and checkpoints. The order of the files is
# that of test/conftest.py.
PYTEST := $(VENV)/bin/python -m pytest --numprocesses $(TEST_JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo test test-all test-rest lint types reference setup setup-tests
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /:  /' | sort

demo: setup  ## run the shipped policy on a few episodes over ROS; ends with a table and a picture
	@$(VENV)/bin/ddpm demo $(DEMO_ARGS)

test: setup-tests  ## run the tests, in ten minutes on two cores
	@$(PYTEST) -m "not long" $(TEST_ARGS)

test-all: setup-tests  ## run also the long tests, and the property tests with other examples each time
	@$(PYTEST) --hypothesis-profile=explore $(TEST_ARGS)

test-rest: setup-tests  ## run what test-all does and test does not
	@$(PYTEST) --hypothesis-profile=explore -m "long or hypothesis" $(TEST_ARGS)

lint: setup-tests  ## ruff
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: setup-tests  ## mypy
	@$(VENV)/bin/mypy

reference: setup-tests  ## write docs/reference from the code
	@$(VENV)/bin/python scripts/reference

setup:  ## make .venv: ROS 2 Jazzy from wheels, torch, ddpm_msgs, this package
	@$(SETUP)

setup-tests:
	@$(SETUP) --tests
