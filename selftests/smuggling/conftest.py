# SPDX-License-Identifier: Apache-2.0
"""Fixtures: one running sluice with endpoints that record and judge (endpoint.py), for all tests."""
import os
import shutil
import socket
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from ground import Ground  # noqa: E402
from product import SLUICE  # noqa: E402
from world import sweep  # noqa: E402


def pytest_collection_modifyitems(items):
    why = None
    if os.geteuid() != 0:
        why = "network namespaces need root"
    elif not os.path.exists(SLUICE):
        why = f"{SLUICE} is not built"
    for tool in ("ip", "nsenter", "openssl"):
        if not why and not shutil.which(tool):
            why = f"'{tool}' is not installed"
    if why:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def whole_ground():
    if os.geteuid() == 0:
        sweep()
    made = Ground()
    yield made
    made.close()


@pytest.fixture
def ground(whole_ground):
    """As new for each test; whatever the test did, no endpoint may have got anything doubtful, and the
    proxy must still be the same process."""
    whole_ground.reset()
    yield whole_ground
    assert whole_ground.complaints() == []
    whole_ground.assert_alive()


@pytest.fixture
def raw(ground):
    """raw(port=80) → a plain TCP socket to the node, closed after the test."""
    made = []

    def connect(port=80, **options):
        made.append(ground.raw(port, **options))
        return made[-1]

    yield connect
    for sock in made:
        if isinstance(sock, socket.socket):
            sock.close()
