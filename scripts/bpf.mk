# SPDX-License-Identifier: Apache-2.0
# Tests of the BPF programs in a real kernel: selftests/bpf/*_test.c, as root.

BPF_TEST_SRC := $(wildcard selftests/bpf/*_test.c)
BPF_TEST_BIN := $(BPF_TEST_SRC:selftests/bpf/%.c=$(BUILD)/bpftest/%)

$(BUILD)/bpftest/%: selftests/bpf/%.c $(call archives,datapath) | $(BPF_SKEL) $(BUILD)/flags
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(LDFLAGS_ALL) $(call libs_of,datapath) -lcmocka
-include $(BPF_TEST_BIN:=.d)

.PHONY: check-bpf
check-bpf: $(BPF_TEST_BIN) ## BPF programs and the datapath in the running kernel (root)
	$(Q)scripts/check-bpf $(BPF_TEST_BIN)

.PHONY: verifier-report
verifier-report: $(BUILD)/bpftest/verifier_test ## what each BPF program costs the verifier (root)
	$(Q)out=$$($< 2>&1); code=$$?; printf '%s\n' "$$out" | grep verified_insns; exit $$code

# The fuzz targets of datapath link the loader, and with it the skeletons.
$(filter $(BUILD)/fuzz/datapath_%,$(FUZZ:%=$(BUILD)/fuzz/%)): | $(BPF_SKEL)

# What a packet costs: the programs in a loop of their own.
$(BUILD)/bpf/steer_loop.bpf.o: selftests/bench/steer_loop.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@ $<
	$(Q)llvm-strip -g $@ 2>/dev/null || true
-include $(BUILD)/bpf/steer_loop.bpf.d
$(BUILD)/bench/datapath_bench: $(BUILD)/gen/steer_loop.skel.h selftests/bench/datapath_flood.h

.PHONY: bench-datapath
bench-datapath: $(BUILD)/bench/datapath_bench all $(BENCH_BIN) $(BUILD)/e2e/xdp_pass.bpf.o ## what packets, floods and short connections cost in XDP (root)
	$(Q)$< $(BENCH_ARGS)
	$(Q)[ -n "$(BENCH_ARGS)" ] || selftests/bench/bench.py --build $(BUILD) --only connect --rounds 7 --workers 2 \
		--proxies sluice,sluice-early
