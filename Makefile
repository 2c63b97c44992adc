# make train-vae trains on built-in data; make train-vae DATA=folder ARGS="--set training.epochs=5" on yours.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXPERIMENTS := $(basename $(notdir $(wildcard experiments/*.toml)))

.DEFAULT_GOAL := help
.PHONY: help install test lint bench bench-peers clean $(EXPERIMENTS:%=train-%)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@for name in $(EXPERIMENTS); do printf "  %-16s %s\n" "train-$$name" "$$(sed -n '1s/^# *//p' experiments/$$name.toml)"; done

install: $(READY) ## make the virtual environment and install, with the versions in constraints.txt

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(READY)

# train, export, draw
$(EXPERIMENTS:%=train-%): train-%: $(READY)
	$(BIN)/python -m keras_ae.train experiments/$*.toml $(if $(DATA),--data "$(DATA)") $(ARGS)
	$(BIN)/python -m keras_ae.export --model runs/$* --out exported/$*
	$(BIN)/python -m keras_ae.generate --model exported/$* --n 16 --out exported/$*/samples.png

test: lint ## check the style, then run every test
	$(BIN)/python -m pytest

lint: $(READY) ## check the style of the code with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(READY) ## measure training, decoding, input pipeline, memory and start-up beside a plain Keras loop
	$(BIN)/python benchmarks/bench.py $(ARGS)

bench-peers: $(READY) ## train and judge keras_ae beside pythae, a plain Keras loop and PCA (installs PyTorch; about an hour)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[peers]'
	$(BIN)/python benchmarks/peers.py $(if $(DATA),--data "$(DATA)") $(ARGS)

clean: ## remove the virtual environment and caches; runs and exports stay
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache
