# SPDX-License-Identifier: Apache-2.0
# sluice: `make help` lists the targets. Quiet by default, V=1 shows the commands, -j is safe.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

BUILD   ?= build
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/local/sbin/bpftool /usr/sbin/bpftool) $(shell command -v bpftool))
PREFIX  ?= /usr/local
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
ARCH    := $(shell uname -m)

# ---- flags -----------------------------------------------------------------------------------
OPT     ?= -O2 -g
SAN     ?=
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wvla \
           -Wpointer-arith -Wwrite-strings
HARDEN  := -fstack-protector-strong -fPIE -fno-strict-aliasing $(if $(SAN),,-D_FORTIFY_SOURCE=2)
CFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) $(if $(CI),-Werror) $(HARDEN) $(SAN) \
             -Iuser -I. -I$(BUILD)/gen $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN) $(LDFLAGS) -pthread
# Parsers and image layout count bytes: there each narrowing is written down.
CFLAGS_wire  := -Wconversion
CFLAGS_image := -Wconversion

# ---- layers: folders, what each links with (scripts/layers.txt) and one external library each --
LAYERS  := $(shell sed -n 's/^\([a-z]*\):.*/\1/p' scripts/layers.txt | grep -vx contract)
$(foreach l,$(LAYERS),$(eval DEPS_$(l) := $(shell sed -n 's/^$(l)://p' scripts/layers.txt)))
closure  = $(sort $(1) $(foreach d,$(DEPS_$(1)),$(call closure,$(d))))
PKG_tls      := libssl libcrypto
PKG_datapath := libbpf
PKG_kube     := yaml-0.1 jansson libcurl
$(foreach l,$(LAYERS),$(if $(PKG_$(l)),$(eval LIBS_$(l) := $(shell pkg-config --libs $(PKG_$(l)) 2>/dev/null))))
libs_of  = $(foreach l,$(call closure,$(1)),$(LIBS_$(l)))
archives = $(foreach l,$(call closure,$(1)),$(if $(wildcard user/$(l)/*.c),$(BUILD)/lib/$(l).a))

# ---- sources ---------------------------------------------------------------------------------
BPF_SRC   := $(wildcard bpf/*.bpf.c)
BPF_OBJ   := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/bpf/%.bpf.o)
BPF_SKEL  := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/gen/%.skel.h)
UNIT_SRC  := $(wildcard selftests/unit/*/*_test.c)
UNIT_BIN  := $(UNIT_SRC:selftests/unit/%.c=$(BUILD)/unit/%)
BIN       := $(BUILD)/sluice $(BUILD)/sluicectl

.PHONY: all user bpf
all: $(BIN) ## build sluice and sluicectl
user: $(BIN)
bpf: $(BPF_OBJ) ## build the BPF objects

define folder_rules
SRC_$(1) := $$(wildcard user/$(1)/*.c)
OBJ_$(1) := $$(SRC_$(1):user/%.c=$(BUILD)/obj/%.o)
$(BUILD)/lib/$(1).a: $$(OBJ_$(1))
	$$(call say,AR,$$@)
	@mkdir -p $$(@D); rm -f $$@
	$(Q)ar rcs $$@ $$^
-include $$(OBJ_$(1):.o=.d)
endef
$(foreach l,$(LAYERS),$(eval $(call folder_rules,$(l))))

$(BUILD)/obj/%.o: user/%.c | $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_$(word 2,$(subst /, ,$<))) -DSLUICE_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

$(OBJ_datapath): | $(BPF_SKEL)

# All objects are rebuilt when the flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS_ALL)' | cmp -s - $@ || echo '$(CC) $(CFLAGS_ALL)' > $@
.PHONY: FORCE
FORCE:

MAIN_DEPS := agent proxy
$(BUILD)/sluice: $(BUILD)/obj/sluice.o $(sort $(foreach l,$(MAIN_DEPS),$(call archives,$(l))))
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS_ALL) \
		$(sort $(foreach l,$(MAIN_DEPS),$(call libs_of,$(l))))
$(BUILD)/sluicectl: $(BUILD)/obj/sluicectl.o $(call archives,cli)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS_ALL) $(call libs_of,cli)
-include $(BUILD)/obj/sluice.d $(BUILD)/obj/sluicectl.d

# ---- BPF: one object a program, a skeleton for the loader --------------------------------------
BPF_ARCH  := $(ARCH:x86_64=x86)
BPF_ARCH  := $(BPF_ARCH:aarch64=arm64)
BPF_FLAGS := -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-unused-parameter \
             -Ibpf -I/usr/include/$(ARCH)-linux-gnu
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@ $<
	$(Q)llvm-strip -g $@ 2>/dev/null || true
$(BUILD)/gen/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@
-include $(BPF_OBJ:.o=.d)

# ---- unit tests: one binary a file, linked with its folder and what that may include -----------
define unit_rule
$(BUILD)/unit/$(1): selftests/unit/$(1).c $$(call archives,$(2))
	$$(call say,TEST,$$<)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Iselftests -MMD -MP -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$(LDFLAGS_ALL) $$(call libs_of,$(2)) -lcmocka
-include $(BUILD)/unit/$(1).d
endef
$(foreach t,$(UNIT_SRC:selftests/unit/%.c=%),$(eval $(call unit_rule,$(t),$(firstword $(subst /, ,$(t))))))

.PHONY: unit check-unit
unit: $(UNIT_BIN)
check-unit: unit ## run the unit tests (cmocka)
	$(Q)scripts/run-units $(UNIT_BIN)

# One folder's tests alone, e.g. `make check-unit-wire`: needs nothing of the folders above it.
check-unit-%:
	$(Q)$(MAKE) --no-print-directory $(filter $(BUILD)/unit/$*/%,$(UNIT_BIN))
	$(Q)scripts/run-units $(filter $(BUILD)/unit/$*/%,$(UNIT_BIN))

.PHONY: asan
asan: ## unit tests under ASan and UBSan, in a build directory of their own
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan OPT="-O1 -g" \
		SAN="-fsanitize=address,undefined -fno-sanitize-recover=all" check-unit

# ---- fuzzing: selftests/fuzz/<folder>_<name>.c, corpus beside it --------------------------------
FUZZ_SECONDS ?= 60
FUZZ_SRC := $(wildcard selftests/fuzz/*_*.c)
FUZZ     := $(FUZZ_SRC:selftests/fuzz/%.c=%)
FUZZ_FLAGS = -std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined \
             -fno-sanitize-recover=all -Iuser -I. -Iselftests -I$(BUILD)/gen -DSLUICE_VERSION='"fuzz"'
define fuzz_rule
$(BUILD)/fuzz/$(1): selftests/fuzz/$(1).c $$(foreach l,$$(call closure,$(firstword $(subst _, ,$(1)))),$$(wildcard user/$$(l)/*.c user/$$(l)/*.h))
	$$(call say,FUZZ,$$<)
	@mkdir -p $$(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -o $$@ $$(filter %.c,$$^) $$(call libs_of,$(firstword $(subst _, ,$(1))))
.PHONY: fuzz-$(1)
fuzz-$(1): $(BUILD)/fuzz/$(1)
	@mkdir -p $(BUILD)/fuzz/corpus/$(1)
	$(Q)$(BUILD)/fuzz/$(1) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus/$(1) selftests/fuzz/corpus/$(1)
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz_rule,$(t))))
.PHONY: fuzz
fuzz: $(FUZZ:%=fuzz-%) ## each fuzz target for FUZZ_SECONDS (60) over its corpus, ASan and UBSan

.PHONY: compile_commands.json
compile_commands.json: ## for editors and clang-tidy
	$(Q)$(MAKE) -nB V=1 --no-print-directory $(BIN) 2>/dev/null | scripts/compile-commands > $@

.PHONY: clean help
clean: ## remove everything that was built
	rm -rf $(BUILD) compile_commands.json
help: ## this list
	@sed -n 's/^\([a-z][a-z0-9_.-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | sort | \
		while IFS='|' read -r t d; do printf '  %-22s %s\n' "$$t" "$$d"; done

include $(wildcard scripts/*.mk)
