# SPDX-License-Identifier: Apache-2.0
# Golden files: selftests/golden/<case>/*.yaml compiled, each stage compared with what was reviewed.

GOLDEN := $(BUILD)/golden/golden
GOLDEN_LAYERS := kube compile
golden_archives = $(sort $(foreach l,$(GOLDEN_LAYERS),$(call archives,$(l))))

$(GOLDEN): selftests/golden/golden.c $(golden_archives)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Iselftests -MMD -MP -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(LDFLAGS_ALL) $(sort $(foreach l,$(GOLDEN_LAYERS),$(call libs_of,$(l))))
-include $(BUILD)/golden/golden.d

.PHONY: check-golden golden-update
check-golden: $(GOLDEN) ## compile the golden cases and compare every stage
	$(Q)$(GOLDEN) selftests/golden
golden-update: $(GOLDEN) ## write the golden files anew; review the diff like code
	$(Q)$(GOLDEN) --update selftests/golden
