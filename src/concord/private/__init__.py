"""What is private to a node and stands in no log: people, sessions, tokens, peers, what its witness remembers.

It lives in `node.db`, is migrated and never derived, and belongs into every backup.
"""
