"""The Xet protocol: pure functions over bytes, a module for each format."""
