"""The doors. Each takes a Node; none knows another."""
