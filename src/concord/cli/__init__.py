"""The command line: `concord`. One module for each group of commands.

Nothing heavy is imported before a command runs, so that `concord --help` is quick.
"""

from concord.cli.app import main

__all__ = ["main"]
