"""`doorward` as it is, but it kills itself with -9 when it is about to seal for the so manieth time, or once as many
batches were committed: `python -m tests.faults.dying_rotation 2 rotate encryption-key`.

The product knows nothing of this: its functions are wrapped here.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from portal.cli import main
from portal.core import crypto, data_keys
from portal.privacy import rotation


def die_after(count: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What wraps functions that do what they do as often as this, all of them together, and then are the end."""
    left = itertools.count(count, -1)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*given: Any, **named: Any) -> Any:
            if next(left) <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*given, **named)

        return dying

    return wrap


if __name__ == "__main__":
    rotation.BATCH = 1
    wrap = die_after(int(sys.argv.pop(1)))
    for place, name in ((data_keys, "wrap_key"), (crypto, "reseal"), (rotation, "seal_check"), (time, "sleep")):
        setattr(place, name, wrap(getattr(place, name)))
    main()
