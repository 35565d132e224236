# One command a goal; each sets up what it needs in .venv. Only Python >= 3.11 has to be there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
PYTEST_ARGS ?= -n 2
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: test-exports demo test soak check lint notebooks bench ablation ablation-more reproduce-dry reproduce-fig1 clean help

help:
	@echo "make demo    set up, make sample data, annotate it, show what is in it"
	@echo "make test    set up everything, run the tests"
	@echo "make check   lint, format and types, then the tests"
	@echo "make notebooks  run the four notebooks on data they make (minutes)"
	@echo "make soak    the tests that take minutes to hours"
	@echo "make test-trl-newest, make test-verl    the plugin under the newest trl; the reward under verl"
	@echo "make ablation    the paper's Table 5 in small (hours); make ablation-more: variants beyond it"
	@echo "make reproduce-dry  the paper's tables and figures with stand-ins for models (minutes)"
	@echo "make test-exports  the loaders of LLaMA-Factory, ms-swift, axolotl and verl read the exports"
	@echo "make bench   run the benchmarks (minutes); prints tables and JSON lines"

$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

# torch first and alone: a CPU build where one is offered, so that nothing pulls in several GB of CUDA packages.
$(VENV)/.all: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.core
	$(BIN)/tldata demo -o demo/demo.jsonl -n 1000
	$(BIN)/tldata annotate demo/demo.jsonl --overwrite
	$(BIN)/tldata stats demo/demo.tldata --by tool --limit 8
	$(BIN)/tldata show demo/demo.tldata "$$($(BIN)/tldata sql demo/demo.tldata --format csv "SELECT trajectory_id FROM trajectories WHERE n_errors > 0 ORDER BY n_messages, source_line LIMIT 1" | tail -n 1)"

test: $(VENV)/.all
	$(BIN)/python -m pytest $(PYTEST_ARGS)

soak: $(VENV)/.all
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m slow
	$(BIN)/python -m tests.fuzz.soak --executions 10000000 --records 100000

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

notebooks: $(VENV)/.all
	$(BIN)/python -m pytest tests/see/test_notebooks.py -m slow

# The trainer plugin under the newest trl (which has no PPO), in an environment of its own.
test-trl-newest: constraints.txt
	test -x .venv-trl-newest/bin/python || $(PYTHON) -m venv .venv-trl-newest
	.venv-trl-newest/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	.venv-trl-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'trl>=1.16' -e '.[dev]'
	.venv-trl-newest/bin/python -m pytest $(PYTEST_ARGS) tests/plugin

# verl pins an older trl and transformers: an environment of its own, and only what touches verl.
test-verl: tests/verl/requirements.txt
	test -x .venv-verl/bin/python || $(PYTHON) -m venv .venv-verl
	.venv-verl/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	.venv-verl/bin/python -m pip install --quiet --disable-pip-version-check -r tests/verl/requirements.txt
	.venv-verl/bin/python -m pip install --quiet --disable-pip-version-check --no-deps verl==0.9.1
	.venv-verl/bin/python -m pip install --quiet --disable-pip-version-check -e .
	.venv-verl/bin/python -m pytest tests/verl

# The loaders of other trainers over the exports, each in an environment of its own (their pins contradict each other); --no-deps
# and the few packages that their readers import. verl's runs with test-verl's environment.
TRAINERS := llama-factory=llamafactory==0.9.5 ms-swift=ms-swift==4.6.0 axolotl=axolotl==0.19.0
test-exports: $(VENV)/.all test-verl
	for trainer in $(TRAINERS); do \
		name=$${trainer%%=*}; \
		env=.venv-export-$$name; \
		test -x $$env/bin/python || $(PYTHON) -m venv $$env || exit 1; \
		$$env/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH) || exit 1; \
		$$env/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' || exit 1; \
		$$env/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/export/trainers/$$name.txt $${trainer#*=} || exit 1; \
		$$env/bin/python -m pytest tests/export/trainers || exit 1; \
	done
	.venv-verl/bin/python -m pip install --quiet --disable-pip-version-check hypothesis
	.venv-verl/bin/python -m pytest tests/export/trainers

bench: $(VENV)/.all
	for name in annotate ray tokenize sft reward score learning; do $(BIN)/python -m benchmarks.$$name || exit 1; done

# Table 5 in small: three seeds of eight configurations, resumed where it was (docs/ablation.md).
ablation: $(VENV)/.all
	$(BIN)/python -m benchmarks.ablation -o ablation-results

ablation-more: $(VENV)/.all
	$(BIN)/python -m benchmarks.ablation --more --seeds 1 -o ablation-results

# Every script of reproduce/ with stand-ins for models (minutes on a CPU); what it writes is marked as dummy numbers.
reproduce-dry: $(VENV)/.all
	for name in data\ check serve prompts fig1 table1 table3 table4 table5 fig4 fig5 deviations\ --trajectories\ 40; do OMP_NUM_THREADS=1 $(BIN)/python -m reproduce.$$name --dry-run || exit 1; done

# Figure 1 for real, and its page.
reproduce-fig1: $(VENV)/.all
	$(BIN)/python -m reproduce.fig1 --offline ../shared/data --page docs/figure1.md

clean:
	rm -rf $(VENV) .venv-trl-newest .venv-verl .venv-export-* demo build dist .mypy_cache .ruff_cache .hypothesis
