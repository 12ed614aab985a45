"""Concord: the open software of a global AI cooperation organisation.

Everything that a member says is a record in that member's own verifiable log. Everything that anybody sees is a view
computed from logs. Large bytes are blobs, addressed by their hash. Nothing else is shared.
"""

__version__ = "0.1.0"
