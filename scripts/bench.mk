# SPDX-License-Identifier: Apache-2.0
# Measurements: see selftests/bench/README.md. Nothing here belongs to `make check`.
BENCH_ARGS ?=
BENCH_BIN  := $(patsubst selftests/bench/src/%.c,$(BUILD)/bench/%,$(wildcard selftests/bench/src/*.c))
MICRO_SRC  := $(wildcard selftests/bench/*_bench.c)

$(BUILD)/bench/%: selftests/bench/src/%.c $(BUILD)/lib/base.a
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $< $(BUILD)/lib/base.a $(LDFLAGS_ALL) -lssl -lcrypto

# selftests/bench/<folder>_bench.c is linked with its folder and what that may include.
define micro_rule
$(BUILD)/bench/$(1)_bench: selftests/bench/$(1)_bench.c $$(call archives,$(1))
	$$(call say,CC,$$<)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Iselftests -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LDFLAGS_ALL) $$(call libs_of,$(1))
endef
$(foreach f,$(MICRO_SRC:selftests/bench/%_bench.c=%),$(eval $(call micro_rule,$(f))))

.PHONY: bench bench-routes bench-micro
bench: all $(BENCH_BIN) ## CPU per request beside nginx, HAProxy, Envoy and a byte-copying relay
	$(Q)selftests/bench/bench.py --build $(BUILD) $(BENCH_ARGS)
bench-routes: all $(BENCH_BIN) ## 10,000 hosts: load time, memory, all hosts against one
	$(Q)selftests/bench/routes.py --build $(BUILD) $(BENCH_ARGS)
bench-micro: $(MICRO_SRC:selftests/bench/%.c=$(BUILD)/bench/%) ## each module's own measurements
	$(Q)for bench in $^; do echo "== $${bench##*/}"; $$bench || exit 1; done
