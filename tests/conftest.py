# SPDX-License-Identifier: MIT
"""Fixtures that the wire and the client tests share."""

import pytest

import restante


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


@pytest.fixture(params=["unprivileged", "root"])
def either_world(request, make_world):
    """The test runs twice: the server started unprivileged, and as root."""
    return make_world(request.param == "root")
