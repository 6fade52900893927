# Every target does its own set-up in .venv. Without make: `py -3.11 scripts/dev.py run` (or quick, check, test, cover, docs, bench, soak).
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: run quick check test cover docs bench soak
run quick check test cover docs bench soak:
	@"$(PYTHON)" scripts/dev.py $@
