"""The log protocol: pure functions over bytes, a module for each C2SP document."""
