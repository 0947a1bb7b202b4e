"""The one table of routes and permissions, and the roles."""

from __future__ import annotations

import pytest
from starlette.routing import Route

from dashboard.app import create_app
from dashboard.roles import GIVEN, NOBODY, PERMISSIONS, ROLES, TABLE, WITHOUT_RUN, Who, needed
from tests.browser.fake_store import FakeStore
from tests.support.desk import Scenes


def test_op_18_every_route_stands_in_the_table():
    """Default deny needs no such test to be safe, but a route nobody can reach is a mistake."""
    routes = create_app(FakeStore(), scenes=Scenes()).routes  # type: ignore[arg-type]
    assert len(routes) > 10
    for route in routes:
        assert isinstance(route, Route), "a mount hides its routes from the table"
        assert route.methods, route.path
        assert [method for method in route.methods if needed(method, route.path) is None] == [], route.path


def test_a_route_that_is_not_there_is_refused():
    assert needed("GET", "/api/nothing") is None
    assert needed("DELETE", "/api/runs") is None
    assert needed("HEAD", "/api/runs") == needed("GET", "/api/runs") == "see"


def test_the_table_names_permissions_that_are_there():
    assert set(TABLE.values()) <= set(PERMISSIONS)
    assert set(WITHOUT_RUN) <= {path for _, path in TABLE}
    assert set().union(*ROLES.values()) == set(PERMISSIONS)


def test_nobody_can_be_given_the_public_role():
    assert GIVEN == ("viewer", "operator", "supervisor", "analyst")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", {"open", "see"}),
        ("operator", {"open", "see", "act", "workbench", "scene"}),
        ("supervisor", {"open", "see", "act", "workbench", "audit", "scene", "attributes", "governance"}),
        ("analyst", {"open", "see", "workbench", "attributes"}),
        ("public", {"open"}),
        ("no such role", set()),
    ],
)
def test_roles(role: str, may: set[str]):
    assert {permission for permission in (*PERMISSIONS, "") if Who("a", role).may(permission)} == may
    assert NOBODY.role == "public"
