# SPDX-License-Identifier: Apache-2.0
# The targets that judge: lint, format and the whole check.

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)

.PHONY: lint check-layers check-size check-style format-check format
lint: ## layers, sizes, style, format, shell and YAML: one line a problem
	$(Q)$(PYTHON) -B scripts/lint
check-layers check-size check-style format-check:
	$(Q)$(PYTHON) -B scripts/lint $(@:check-%=%)
# Every version has a taste of its own: that of version 14 is the one that lint compares with.
format: ## clang-format (version 14) every C file in place
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' | \
		xargs "$$(command -v clang-format-14 || echo clang-format)" -i

.PHONY: check check-e2e
check: ## lint, unit, golden, BPF, end-to-end and smuggling tests, and one closing line
	$(Q)scripts/check

# Clients and floods that have to be quick.
E2E_BIN := $(patsubst selftests/e2e/src/%.c,$(BUILD)/e2e/%,$(wildcard selftests/e2e/src/*.c))
$(E2E_BIN): $(BUILD)/e2e/%: selftests/e2e/src/%.c $(BUILD)/lib/base.a | $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -o $@ $< $(BUILD)/lib/base.a $(LDFLAGS_ALL)
-include $(E2E_BIN:=.d)

# E2E="-k redirect -x" hands options to pytest.
E2E ?=
check-e2e: $(BIN) $(BUILD)/e2e/xdp_pass.bpf.o $(E2E_BIN) ## end-to-end tests in network namespaces (root)
	$(Q)BUILD='$(abspath $(BUILD))' $(PYTHON) -B selftests/e2e/run $(E2E)

.PHONY: check-interop
check-interop: ## clients of other people, where they are installed: wrk, h2load, Go, Chromium too (root)
	$(Q)E2E_INTEROP=1 $(MAKE) --no-print-directory check-e2e E2E="-k test_interop -rs $(E2E)"

# The same in each mode of selftests/e2e/modes.py, one after the other: 20 minutes.
E2E_MATRIX ?= off generic native early foreign nokfunc nohost bare nobpf
.PHONY: check-e2e-matrix
check-e2e-matrix: ## every end-to-end test in every XDP mode (root)
	$(Q)failed=0; for mode in $(E2E_MATRIX); do echo "== $$mode"; \
		E2E_MODE=$$mode E2E_MODES=$$mode $(MAKE) --no-print-directory check-e2e || failed=1; done; exit $$failed

# SMUGGLING="-k trailer -x" hands options to pytest.
SMUGGLING ?=
.PHONY: check-smuggling
check-smuggling: $(BIN) ## hostile clients and endpoints against a running sluice (root)
	$(Q)BUILD='$(abspath $(BUILD))' $(PYTHON) -B selftests/e2e/run selftests/smuggling $(SMUGGLING)

# veth sends XDP_TX and redirected frames only to a peer that has an XDP program too.
$(BUILD)/e2e/xdp_pass.bpf.o: selftests/e2e/xdp_pass.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -c -o $@ $<
