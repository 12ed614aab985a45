"""What the tests of the Hub door share."""

collect_ignore = ["journeys.py"]  # the clients run it, each with its own Python
