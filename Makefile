# Every target does its own set-up in .venv. Without make: `py -3.11 scripts/dev.py run` (or test, check, cover, bench, soak).
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: run test check cover bench soak
run test check cover bench soak:
	@"$(PYTHON)" scripts/dev.py $@
