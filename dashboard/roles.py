"""Who may do what: the one table of routes and permissions, and the roles.

Every route of the page stands in TABLE; one that does not is refused (guard.py). A role is a set of permissions:

    open        what needs no login: files without figures, the login itself, probes, the public page
    see         figures, alerts, runs
    act         acknowledge, assign, note, shelve, unshelve, resolve and reopen alerts
    workbench   runs of the class workbench, which are a second release of the same people (PRIVACY.md R5)
    audit       the trail of what people did
    scene       the demo's switch of scenes
    attributes  signage, and what consenting people are: tables of distinct people
    governance  consents, contracts, and what companies have read
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OPEN, SEE, ACT, WORKBENCH, AUDIT, SCENE, ATTRIBUTES, GOVERNANCE = PERMISSIONS = (
    "open",
    "see",
    "act",
    "workbench",
    "audit",
    "scene",
    "attributes",
    "governance",
)
PUBLIC = "public"  # the role of whoever has not logged in; nobody can be given it

ROLES: Mapping[str, frozenset[str]] = {
    PUBLIC: frozenset({OPEN}),
    "viewer": frozenset({OPEN, SEE}),
    "operator": frozenset({OPEN, SEE, ACT, WORKBENCH, SCENE}),
    "supervisor": frozenset({OPEN, SEE, ACT, WORKBENCH, AUDIT, SCENE, ATTRIBUTES, GOVERNANCE}),
    "analyst": frozenset({OPEN, SEE, WORKBENCH, ATTRIBUTES}),
}
GIVEN = tuple(role for role in ROLES if role != PUBLIC)  # the roles a user can have

TABLE: Mapping[tuple[str, str], str] = {
    ("GET", "/"): SEE,
    ("GET", "/s/{path:path}"): OPEN,
    ("GET", "/login"): OPEN,
    ("GET", "/events"): SEE,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): SEE,
    ("GET", "/public"): OPEN,
    ("GET", "/public/events"): OPEN,
    ("GET", "/api/session"): OPEN,
    ("POST", "/api/login"): OPEN,
    ("POST", "/api/logout"): OPEN,
    ("GET", "/api/status"): SEE,
    ("GET", "/api/runs"): SEE,
    ("GET", "/api/alerts"): SEE,
    ("POST", "/api/alerts/{id}"): ACT,
    ("GET", "/api/audit"): AUDIT,
    ("GET", "/api/why"): SEE,
    ("GET", "/api/history"): SEE,
    ("GET", "/api/frames"): SEE,
    ("GET", "/api/download"): SEE,
    ("GET", "/api/company/export"): OPEN,  # asks for a key of its own (company.py)
    ("GET", "/api/signage"): ATTRIBUTES,
    ("GET", "/api/profiles"): ATTRIBUTES,
    ("GET", "/api/trips"): ATTRIBUTES,
    ("GET", "/api/consents"): GOVERNANCE,
    ("GET", "/api/contracts"): GOVERNANCE,
    ("GET", "/api/reads"): GOVERNANCE,
    ("GET", "/api/demo"): SEE,
    ("POST", "/api/demo"): SCENE,
}

# Routes that tell nothing of a run, or (the public page) of none of the class workbench. All others show one: that of
# ?run=, else the server's own (--run-id).
WITHOUT_RUN = frozenset(
    {"/", "/s/{path:path}", "/login", "/healthz", "/readyz", "/api/session", "/api/login", "/api/logout"}
    | {"/api/audit", "/api/demo", "/api/runs", "/public", "/public/events"}
    | {"/api/consents", "/api/contracts", "/api/reads"}
    | {"/api/company/export"}  # a contract says what it may read, and never such a run
)

# Of those, the routes that show the server's own run whatever ?run= says.
OWN_RUN = frozenset({"/api/status", "/metrics"})

# Routes whose use is written into the trail by the guard: path → what it is called there (trail.py).
NOTED: Mapping[str, str] = {"/api/download": "download"}


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody at the page: name and role. ``NOBODY`` is who has not logged in."""

    name: str
    role: str

    def may(self, permission: str) -> bool:
        """Whether the role has the permission; one that does not exist has none."""
        return permission in ROLES.get(self.role, ())


NOBODY = Who("", PUBLIC)
LOCAL = Who("local", "operator")  # everybody, where there are no users


def needed(method: str, path: str) -> str | None:
    """The permission that a route needs, by its method and its path as it is written in the route. None: refuse."""
    return TABLE.get(("GET" if method == "HEAD" else method, path))
