# SPDX-License-Identifier: Apache-2.0
# The golden files of decoding are compared by a unit test, which also writes them.

.PHONY: golden-update-objects
golden-update: golden-update-objects
golden-update-objects: $(BUILD)/unit/kube/objects_golden_test
	$(Q)GOLDEN_UPDATE=1 $<
