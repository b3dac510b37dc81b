# SPDX-License-Identifier: MIT
"""Fixtures that the wire and the client tests share."""

import os
import sys

# Test files are compiled once a run, not once for each process of pytest.
if folder := os.environ.get("RESTANTE_BYTECODE"):
    sys.pycache_prefix = folder
    sys.dont_write_bytecode = False

import pytest

import restante


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What takes longest begins first, or all would wait for it in the end."""
    for item in items:
        if item.get_closest_marker("alone") and item.get_closest_marker("sanitized"):
            raise pytest.UsageError(f"{item.nodeid}: what is alone is not run with the sanitizers")
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


@pytest.fixture
def make_world():
    """Makes worlds, and sees after the test that their servers end well."""
    worlds = []

    def make(privileged=False):
        if privileged and not restante.IS_ROOT:
            pytest.skip("needs root")
        worlds.append(restante.World(privileged))
        return worlds[-1]

    yield make
    try:
        for world in worlds:
            world.close()
    finally:
        for world in worlds:
            # Shown by pytest where the test failed.
            print(f"log of {world.folder}:\n{getattr(world, 'log', '')[-20000:]}")


@pytest.fixture
def world(make_world):
    """A world of an unprivileged server."""
    return make_world()


@pytest.fixture(params=["root"] if restante.SANITIZED and restante.IS_ROOT else ["unprivileged", "root"])
def either_world(request, make_world):
    """The test runs twice: the server started unprivileged, and as root. With the sanitizers only as root, where
    more of the code runs."""
    return make_world(request.param == "root")
