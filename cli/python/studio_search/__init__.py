"""Search indexes over federated GraphQL graphs: the commands of ``studio-search`` as functions.

Each takes the path of an ``index.yaml`` or of a folder that holds one, returns what the command prints with
``-o json`` as a dictionary, lets other threads work meanwhile, and raises :class:`StudioSearchError` where the
command would fail.
"""

from ._native import (
    StudioSearchError,
    __version__,
    backfill,
    errors,
    plan,
    provision,
    search,
    status,
    validate,
)

__all__ = [
    "StudioSearchError",
    "__version__",
    "backfill",
    "errors",
    "plan",
    "provision",
    "search",
    "status",
    "validate",
]
