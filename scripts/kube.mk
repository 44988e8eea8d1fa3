# SPDX-License-Identifier: Apache-2.0
# Tests against a real kube-apiserver, etcd and kubectl, which are built once from Go modules and
# kept in SLUICE_CACHE. Without Go, or without a way to the modules, they are skipped with the reason.

SLUICE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice

$(BUILD)/kube/kube_driver: selftests/kube/kube_driver.c $(call archives,kube)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(LDFLAGS_ALL) $(call libs_of,kube)
-include $(BUILD)/kube/kube_driver.d

# KUBE="-k 410 -x" hands options to pytest.
KUBE ?=
.PHONY: check-k8s
check-k8s: $(BIN) $(BUILD)/kube/kube_driver $(BUILD)/e2e/xdp_pass.bpf.o ## tests with a real kube-apiserver, built once (Go, root)
	$(Q)BUILD='$(abspath $(BUILD))' PYTHON='$(PYTHON)' scripts/check-k8s '$(SLUICE_CACHE)' $(KUBE)

BENCH_K8S ?=
.PHONY: bench-k8s
bench-k8s: $(BIN) ## apply to served, 10,000 objects at start, a long outage (Go, root)
	$(Q)scripts/kube-testapi '$(SLUICE_CACHE)' '$(BUILD)/kube/kube-testapi'
	$(Q)BUILD='$(abspath $(BUILD))' $(PYTHON) -B selftests/kube/bench.py $(BENCH_K8S)
