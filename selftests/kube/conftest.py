# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `api`, one API server for all tests that leave it as it was; `start_api`, one of one's
own; `start_driver`, the API client alone; `start_site`, sluice on the ground that all of them share."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

from apiserver import ApiServer, TESTAPI  # noqa: E402
from driver import Driver  # noqa: E402
from kube_site import Ground, KubeSite  # noqa: E402
from world import sweep  # noqa: E402


def pytest_collection_modifyitems(items):
    why = os.environ.get("KUBE_MISSING")
    if not why and not os.path.exists(TESTAPI):
        why = f"{TESTAPI} is not built"
    if not why and os.geteuid() != 0:
        why = "network namespaces need root"
    if why:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session", autouse=True)
def swept():
    """What killed runs left behind is gone before the first test."""
    sweep()


def made_one_by_one(make):
    made = []

    def start(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]
    return made, start


@pytest.fixture(scope="session")
def api():
    server = ApiServer().start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def ground():
    made = Ground()
    yield made
    made.close()


@pytest.fixture
def start_ground():
    """Another one, where the shared one will not do."""
    made, start = made_one_by_one(Ground)
    yield start
    for one in made:
        one.close()


@pytest.fixture
def start_site(ground):
    made, start = made_one_by_one(lambda **options: KubeSite(ground, **options))
    yield start
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def clean_default_namespace(request):
    """Nothing of one test is left for the next."""
    yield
    if "api" in request.fixturenames:
        server = request.getfixturevalue("api")
        for path in ("/apis/networking.k8s.io/v1/namespaces/default/ingresses",
                     "/apis/networking.k8s.io/v1/ingressclasses",
                     "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                     "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/secrets"):
            server.request("DELETE", path)


@pytest.fixture
def start_api():
    made, start = made_one_by_one(lambda *flags, **options: ApiServer(*flags, **options).start())
    yield start
    for one in made:
        one.close()


@pytest.fixture
def start_driver():
    made, start = made_one_by_one(Driver)
    yield start
    for one in made:
        one.close()
