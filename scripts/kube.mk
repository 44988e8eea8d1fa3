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
check-k8s: $(BIN) $(BUILD)/kube/kube_driver ## tests with a real kube-apiserver, built once (Go)
	$(Q)if why=$$(scripts/kube-testapi '$(SLUICE_CACHE)' '$(BUILD)/kube/kube-testapi'); then \
		BUILD='$(abspath $(BUILD))' $(PYTHON) -B selftests/e2e/run selftests/kube $(KUBE); \
	elif [ $$? -eq 77 ]; then echo "kube: skipped: $$why"; else exit 1; fi

.PHONY: image
image: $(BIN) ## the container image as build/sluice-image.tar, without a Docker daemon
	$(Q)BUILD='$(abspath $(BUILD))' $(PYTHON) -B scripts/image --output $(BUILD)/sluice-image.tar
