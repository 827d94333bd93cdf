"""The compiled module. Use ``studio_search``."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypedDict

Path = str | PathLike[str]

__version__: str

class StudioSearchError(Exception):
    """Why a command failed; ``str(error)`` is one line."""

    code: str | None
    """The diagnostic code, such as ``SS214``; ``studio-search explain`` tells more."""
    help: str | None
    """How to mend it."""
    causes: list[str]
    """What lies below it, or the places in the files that are wrong."""

class Diagnostic(TypedDict):
    """One finding. Lines and columns count from 1, columns in characters."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None
    help: str | None

class Validation(TypedDict):
    success: bool
    diagnostics: list[Diagnostic]

class Hit(TypedDict):
    id: str
    score: float | None
    document: dict[str, Any]
    highlights: dict[str, list[str]]

class FacetValue(TypedDict):
    value: str | int | float | bool
    count: int

class SearchAnswer(TypedDict):
    success: bool
    total: int
    hits: list[Hit]
    facets: dict[str, list[FacetValue]]
    next: str | None

class Change(TypedDict):
    action: Literal["add", "change", "none"]
    kind: str
    name: str
    reasons: list[str]

class Summary(TypedDict):
    add: int
    change: int
    none: int

class Plan(TypedDict):
    success: bool
    changes: list[Change]
    summary: Summary
    coverage: list[dict[str, Any]]
    backfill: dict[str, Any] | None

class Provisioned(TypedDict):
    success: bool
    changes: list[Change]
    summary: Summary
    applied: bool

def main(argv: Sequence[str]) -> int:
    """The command line, the program's name first; gives the exit code."""

def validate(path: Path) -> Validation:
    """Check a configuration with its files; what is wrong is in the answer, not raised."""

def plan(path: Path) -> Plan:
    """Say what :func:`provision` would change."""

def provision(path: Path, *, yes: bool = False) -> Provisioned:
    """Make what the index needs. Without ``yes`` nothing is changed; look at ``changes``."""

def search(
    path: Path,
    text: str | None = None,
    *,
    filter: str | None = None,
    facets: Sequence[str] | None = None,
    sort: Sequence[str] | None = None,
    first: int = 10,
    after: str | None = None,
) -> SearchAnswer:
    """Search the index. ``after`` is ``next`` of the answer before."""

def backfill(
    path: Path, *, ids: Sequence[str] | None = None, follow: bool = False, into_new_version: bool = False
) -> Mapping[str, Any]:
    """Record a backfill, which a running ``studio-search run`` does; ``follow`` waits for its end, ``into_new_version`` fills the
    index version that ``provision`` made for another query."""

def status(path: Path) -> Mapping[str, Any]:
    """Say how the index is doing."""

def errors(path: Path) -> Mapping[str, Any]:
    """List held documents and dead letters."""
