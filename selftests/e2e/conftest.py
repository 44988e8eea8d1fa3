# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `any_site` is a running sluice shared by all tests that only ask it things, once in each
mode of modes.py; `site` is one in the usual mode; `start_site` makes one that belongs to the test. Without root everything here is skipped."""
import os
import shutil

import pytest

import modes
from product import SLUICE
from site_of_test import Site
from world import sweep


def pytest_configure(config):
    config.addinivalue_line("markers", "mode(name): for one mode of modes.py, whatever the usual one is")


def is_of_another_mode(item):
    """One mode was asked for, and this test says by itself that it is for another one."""
    wanted = os.environ.get("E2E_MODE")
    marker = item.get_closest_marker("mode")
    said = getattr(item, "callspec", None) and item.callspec.params.get("xdp")
    return wanted and (marker.args[0] if marker else said or wanted) != wanted


def pytest_collection_modifyitems(config, items):
    others = [item for item in items if is_of_another_mode(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
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


@pytest.fixture(scope="session", params=[mode.name for mode in modes.ALL])
def any_site(request):
    """One after the other in each mode: for what must be the same in all of them."""
    site = Site(xdp=request.param)
    yield site
    site.close()


@pytest.fixture(scope="session")
def site():
    """In the usual mode, XDP off: for what has nothing to do with the datapath."""
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
