# make train-vae trains on the built-in data set; make train-vae DATA=folder ARGS="--set training.epochs=5" on your images.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt --editable

.DEFAULT_GOAL := help
.PHONY: help install test lint docs notebooks dist explorer cats soak bench bench-gpu bench-peers bench-scale bench-small bench-folders clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {sub("%", "NAME", $$1); printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make the virtual environment and install, with the versions in constraints.txt

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[test]'
	touch $(READY)

train-%: $(READY) ## train, export and draw experiments/NAME.toml; DATA=DIR, ARGS="--set ..."; keras_ae.train --list names them
	$(BIN)/python -m keras_ae.train experiments/$*.toml $(if $(DATA),--data "$(DATA)") --export $(ARGS)

test: lint ## check the style, then run every test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(READY) ## check the style of the code with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(READY) ## build the documentation into site/, which needs no network afterwards; open site/index.html
	$(INSTALL) '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebooks: $(READY) ## run notebooks/*.ipynb and store their outputs (about 15 minutes); NOTEBOOK=FILE runs one
	$(BIN)/python notebooks/execute.py $(NOTEBOOK)

dist: $(READY) ## build the wheel and the sdist into dist/
	$(INSTALL) '.[dist]'
	$(BIN)/python -m build --outdir dist

explorer: $(READY) ## make explorer.html, a page to play with an export in a browser; MODEL=DIR
	$(BIN)/python -m keras_ae.explore --model "$(or $(MODEL),exported/cats)" --out explorer.html

cats: $(READY) ## download the public cat faces into the cache; make train-vae DATA=cats trains on them
	$(INSTALL) '.[cats]'
	$(BIN)/python -m keras_ae.data.sources

soak: $(READY) ## random wrong inputs and killed trainings; SOAK=MINUTES (20), SEED=N
	$(BIN)/python benchmarks/soak.py --minutes $(or $(SOAK),20) $(if $(SEED),--seed $(SEED))

bench: $(READY) ## measure training and decoding beside PyTorch, onnxruntime and a plain Keras loop (installs PyTorch)
	$(INSTALL) '.[bench]'
	$(BIN)/python benchmarks/bench.py $(ARGS)

bench-gpu: $(READY) ## measure a GPU: both stages, memory, losses, decoding, beside PyTorch and the processor (10 minutes)
	$(INSTALL) '.[gpu]'
	$(INSTALL) '.[bench]'
	$(BIN)/python benchmarks/gpu.py $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-peers: $(READY) ## train and judge keras_ae beside pythae, a plain Keras loop and PCA (installs PyTorch; about an hour)
	$(INSTALL) '.[peers]'
	$(BIN)/python benchmarks/peers.py $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-scale: $(READY) ## measure how 10,000 to 1,000,000 pictures are prepared and read (15 minutes, 20 GB); SIZES="10000 100000"
	$(BIN)/python benchmarks/scale.py $(or $(SIZES),10000 100000 1000000) $(ARGS)

bench-small: $(READY) ## compare PCA, training from nothing and from exported/cats on small folders; CATS=DIR OTHER=DIR
	$(BIN)/python benchmarks/small.py $(if $(CATS),--cats "$(CATS)") $(if $(OTHER),--other "$(OTHER)") $(ARGS)

bench-folders: $(READY) ## find copies in pictures with known changes, beside imagededup where it is installed; DATA=DIR
	$(BIN)/python benchmarks/folders.py --data "$(DATA)" $(ARGS)

clean: ## remove the virtual environment and caches; runs and exports stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
