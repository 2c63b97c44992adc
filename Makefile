# make train-vae trains on the built-in data set; make train-vae DATA=folder ARGS="--set training.epochs=5" on your images.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXPERIMENTS := $(basename $(notdir $(wildcard experiments/*.toml)))

.DEFAULT_GOAL := help
.PHONY: help install test notebooks docs lint dist cats explorer soak bench bench-peers bench-scale bench-small course clean $(EXPERIMENTS:%=train-%)

cats: $(READY) ## download the public cat faces into the cache; make train-vae DATA=cats trains on them
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[cats]'
	$(BIN)/python -m keras_ae.data cats

# the course: make course MNIST=tensorflow-datasets-folder CATS=folder; without them MNIST is downloaded and cats are drawn
COURSE ?= docs/course
ON_MNIST = $(if $(MNIST),--data "$(MNIST)")
ON_CATS = $(if $(CATS),--data "$(CATS)")
MNIST_EXPERIMENTS := $(basename $(notdir $(shell grep -l '^name = "mnist"' experiments/*.toml)))
data-of = $(if $(filter $(1),$(MNIST_EXPERIMENTS)),$(ON_MNIST),$(if $(filter denoise_cats upscale_cats_%,$(1)),$(ON_CATS)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@for name in $(EXPERIMENTS); do printf "  %-24s %s\n" "train-$$name" "$$(sed -n '1s/^# *//p' experiments/$$name.toml)"; done

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

# an export of the course is trained if it is missing; an interrupted run is resumed: name, experiment, arguments
define made
	test -e runs/$(1)/001/metrics.json || $(BIN)/python -m keras_ae.train experiments/$(2).toml $(3) \
		--out runs/$(1)/001 $(if $(wildcard runs/$(1)/001/config.json),--resume)
	$(BIN)/python -m keras_ae.export --model runs/$(1) --out exported/$(1)
endef

exported/%/card.json: | $(READY)
	$(call made,$*,$*,$(call data-of,$*))

exported/beta_cats_%/card.json: | $(READY)
	$(call made,beta_cats_$*,beta_cats,--set objective.beta=$*)

# all factors vary, not position, size and background alone
exported/tc_cats_all/card.json: | $(READY)
	$(call made,tc_cats_all,tc_cats,--set data.name=synthetic_cats --set latent.dim=12 --set training.epochs=8 --set training.batch=128)

# the default on the built-in cats, whatever exported/vae was trained on
exported/vae_cats/card.json: | $(READY)
	$(call made,vae_cats,vae,)

exported/sizes_mnist_%/card.json: | $(READY)
	$(call made,sizes_mnist_$*,sizes,--set latent.dim=$* --set training.epochs=2 --set data.name=mnist $(ON_MNIST))

exported/sizes_cats_%/card.json: | $(READY)
	$(call made,sizes_cats_$*,sizes,--set latent.dim=$* $(ON_CATS))

# a study of the course: target, study, exports, data
define study
.PHONY: study-$(1)
COURSE_STUDIES += study-$(1)
study-$(1): $(3:%=exported/%/card.json)
	$(BIN)/python -m keras_ae.study $(2) --compare $(3:%=exported/%) $(4) --out $$(COURSE)/$(1)
endef
$(eval $(call study,sampling,sampling,ae_mnist,$$(ON_MNIST)))
$(eval $(call study,latent_map,latent_map,ae_2d vae_2d_dense vae_2d_conv,$$(ON_MNIST)))
$(eval $(call study,code_noise,code_noise,ae_2d vae_2d_conv,$$(ON_MNIST)))
$(eval $(call study,plane,plane,vae_2d_dense vae_2d_conv,$$(ON_MNIST)))
$(eval $(call study,denoising_mnist,denoising,denoise_mnist,$$(ON_MNIST)))
$(eval $(call study,denoising_cats,denoising,denoise_cats,$$(ON_CATS)))
$(eval $(call study,upscaling_mnist,upscaling,upscale_mnist,$$(ON_MNIST)))
$(eval $(call study,upscaling_cats,upscaling,upscale_cats_2x upscale_cats_4x,$$(ON_CATS)))
$(eval $(call study,labels_mnist,labels,cvae_mnist,$$(ON_MNIST)))
$(eval $(call study,labels_cats,labels,cvae_cats,))
$(eval $(call study,sizes_mnist,sizes,$(addprefix sizes_mnist_,2 8 32 128),$$(ON_MNIST)))
$(eval $(call study,sizes_cats,sizes,$(addprefix sizes_cats_,2 8 32 128),$$(ON_CATS)))
$(eval $(call study,priors,priors,vae_mnist aae_mnist,$$(ON_MNIST)))
$(eval $(call study,densities,densities,vae_mnist ae_mnist,$$(ON_MNIST)))
$(eval $(call study,neighbours,neighbours,vae_mnist aae_mnist,$$(ON_MNIST)))
$(eval $(call study,clusters,clusters,vae_mnist,$$(ON_MNIST)))
$(eval $(call study,attributes,attributes,vae_cats,))
$(eval $(call study,edits,edits,beta_cats_1,))
$(eval $(call study,disentanglement,disentanglement,beta_cats_1 beta_cats_4 beta_cats_10,))
$(eval $(call study,factors,disentanglement,tc_cats tc_cats_all,))
$(eval $(call study,melodies,melodies,music,))

course: $(COURSE_STUDIES) ## train, draw and measure every experiment of the course (about 90 minutes)

test: lint ## check the style, then run every test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# the export that the page shows
MODEL ?= exported/cats

explorer: $(READY) ## make explorer.html, a page to play with an export in a browser; MODEL=DIR
	$(BIN)/python -m keras_ae.explore --model "$(MODEL)" --out explorer.html

notebooks: $(READY) ## run notebooks/*.ipynb and store their outputs (about 15 minutes); NOTEBOOK=FILE runs one
	$(BIN)/python notebooks/execute.py $(NOTEBOOK)

docs: $(READY) ## build the documentation into site/, which needs no network afterwards; open site/index.html
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

dist: $(READY) ## build the wheel and the sdist into dist/
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dist]'
	$(BIN)/python -m build --outdir dist

lint: $(READY) ## check the style of the code with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# minutes of the campaign; SEED=N repeats one
SOAK ?= 20

soak: $(READY) ## random wrong inputs and killed trainings; SOAK=MINUTES (20), SEED=N
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[soak]'
	$(BIN)/python benchmarks/soak.py --minutes $(SOAK) $(if $(SEED),--seed $(SEED))

bench: $(READY) ## measure training and decoding beside PyTorch, onnxruntime and a plain Keras loop (installs PyTorch)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/bench.py $(ARGS)

bench-peers: $(READY) ## train and judge keras_ae beside pythae, a plain Keras loop and PCA (installs PyTorch; about an hour)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[peers]'
	$(BIN)/python benchmarks/peers.py $(if $(DATA),--data "$(DATA)") $(ARGS)

# numbers of pictures
SIZES ?= 10000 100000 1000000

bench-scale: $(READY) ## measure how 10,000 to 1,000,000 pictures are prepared and read (15 minutes, 20 GB); SIZES="10000 100000"
	$(BIN)/python benchmarks/scale.py $(SIZES) $(ARGS)

# measured in several calls; each writes what it has
bench-small: $(READY) ## compare PCA, training from nothing and from exported/cats on small folders; CATS=DIR OTHER=DIR
	$(BIN)/python benchmarks/small.py $(if $(CATS),--cats "$(CATS)") $(if $(OTHER),--other "$(OTHER)") $(ARGS)

clean: ## remove the virtual environment and caches; runs and exports stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
