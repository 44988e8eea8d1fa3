# SPDX-License-Identifier: Apache-2.0
# The targets that put sluice to use: the demo, and installing it.

# ARGS="--manifests DIR" serves a directory of your own instead of the examples.
ARGS ?=

.PHONY: run install uninstall
run: ## the demo: serves k8s/examples through XDP in network namespaces, shows it, Ctrl-C ends (root)
	$(Q)scripts/setup
	$(Q)$(MAKE) -s --no-print-directory all $(BUILD)/e2e/xdp_pass.bpf.o
	$(Q)BUILD='$(abspath $(BUILD))' $(PYTHON) -B scripts/demo $(ARGS)

install: $(BIN) ## sluice and sluicectl into DESTDIR PREFIX (/usr/local)
	install -D -m 755 $(BUILD)/sluice $(DESTDIR)$(PREFIX)/sbin/sluice
	install -D -m 755 $(BUILD)/sluicectl $(DESTDIR)$(PREFIX)/bin/sluicectl
uninstall: ## removes them
	rm -f $(DESTDIR)$(PREFIX)/sbin/sluice $(DESTDIR)$(PREFIX)/bin/sluicectl
