"""`doorward` as it is, but a restore kills itself with -9 at a named point.

    DIE_AT="rows are in" python -m tests.backup.dying backup restore FILE

The product knows nothing of this: its functions are wrapped here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from portal.cli import main

# The function in whose place one stands that dies before it or after it.
POINTS = {
    "rows are in": ("load_rows", True),
    "the old goes": ("copy_file", False),
    "the old has gone": ("move_schema", True),
}


def die_around(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """A function that does what this one does, or not even that, and is the end."""

    def dying(*arguments: Any, **named: Any) -> Any:
        if after:
            function(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


if __name__ == "__main__":
    name, after = POINTS[os.environ["DIE_AT"]]
    commands = sys.modules["portal.cli.backup"]  # the package's own `backup` is the group of commands
    setattr(commands, name, die_around(getattr(commands, name), after=after))
    main()
