"""A process that does the long works that wait and has a fault of its own: `python -m tests.messages.exporters FAULT`.

`die` kills itself with -9 when it has written its first lines; `full` may write no file beyond `LIMIT` bytes;
`none` has none. The product knows nothing of them. Settings come from the environment, as they do for `doorward`.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

from portal import create_app
from portal.core.settings import load
from portal.jobs.table import JOBS
from portal.messages import export_files, export_rows


def dying(batches: Any) -> Any:
    """The batches of an export, of which only the first is ever seen."""

    def one_and_no_more(*arguments: Any) -> Iterator[tuple[bytes, int]]:
        for number, batch in enumerate(batches(*arguments)):
            if number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    return one_and_no_more


def main() -> None:
    """Do what waits."""
    if sys.argv[1] == "die":
        export_files.ADVANCE_S = export_rows.BATCH = 2
        vars(export_files)["batches_of"] = dying(export_rows.batches_of)
    elif sys.argv[1] == "full":
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["LIMIT"]), most))
    app = create_app(load())
    with app.app_context():
        JOBS["do_long_works"].work()


if __name__ == "__main__":
    main()
