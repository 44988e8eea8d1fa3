# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `site` is a running sluice shared by all tests that only ask it things, once with each
XDP mode; `start_site` makes one that belongs to the test. Without root everything here is skipped."""
import os
import shutil

import pytest

from product import SLUICE
from site_of_test import Site
from world import sweep

MODES = ("off", "generic", "native")


def pytest_collection_modifyitems(items):
    why = None
    if os.geteuid() != 0:
        why = "network namespaces need root"
    elif not os.path.exists(SLUICE):
        why = f"{SLUICE} is not built"
    for tool in ("ip", "nsenter", "ethtool", "openssl", "bpftool"):
        if not why and not shutil.which(tool):
            why = f"'{tool}' is not installed"
    if why:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind():
    if os.geteuid() == 0:
        sweep()


@pytest.fixture(scope="session", params=MODES)
def any_site(request):
    """One after the other in each XDP mode: for what must be the same in all of them."""
    site = Site(xdp=request.param)
    yield site
    site.close()


@pytest.fixture(scope="session")
def site():
    """XDP off: for what has nothing to do with the datapath."""
    site = Site()
    yield site
    site.close()


@pytest.fixture
def start_site():
    """start_site(xdp=..., options=...) → a Site that this test may break."""
    made = []

    def start(**options):
        made.append(Site(**options))
        return made[-1]

    yield start
    for one in made:
        one.close()
