# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `api`, one API server for all tests that leave it as it was; `start_api`, one of one's
own; `start_driver`, the API client alone."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

from apiserver import ApiServer, TESTAPI  # noqa: E402
from driver import Driver  # noqa: E402


def pytest_collection_modifyitems(items):
    if os.path.exists(TESTAPI):
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason=f"{TESTAPI} is not built"))


@pytest.fixture(scope="session")
def api():
    server = ApiServer().start()
    yield server
    server.close()


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


def made_one_by_one(make):
    made = []

    def start(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]
    return made, start


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
