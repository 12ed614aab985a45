"""The JSON API, for programs: /api/v1. Its OpenAPI description is made from the same types that it answers with."""

from concord.edges.api import door

__all__ = ["door"]
