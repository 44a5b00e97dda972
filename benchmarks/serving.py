"""Serves one application with the server's options of `doorward serve`, whatever the application is.

    python -m benchmarks.serving benchmarks.apps:make_hello --port 8001 --workers 1 --threads 16

A test compares the options with those that portal/serving.py gives.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from portal.serving import KILL_AFTER_S, MOST_HEADER_BYTES


def server_options(*, host: str, port: int, workers: int, threads: int) -> dict[str, Any]:
    """The options under which hello and the product are alike."""
    return {
        "address": host,
        "port": port,
        "interface": import_module("granian.constants").Interfaces.WSGI,
        "workers": workers,
        "blocking_threads": threads,
        "backlog": 1024,
        "respawn_failed_workers": True,
        "workers_kill_timeout": KILL_AFTER_S,
        "http1_settings": import_module("granian.http").HTTP1Settings(max_buffer_size=MOST_HEADER_BYTES),
        "log_level": "error",
        "factory": True,
    }


@click.command()
@click.argument("target")
@click.option("--port", type=int, required=True)
@click.option("--workers", type=int, required=True)
@click.option("--threads", type=int, required=True)
def main(target: str, port: int, workers: int, threads: int) -> None:
    """Serve TARGET until told to stop."""
    options = server_options(host="127.0.0.1", port=port, workers=workers, threads=threads)
    import_module("granian").Granian(target, **options).serve()


if __name__ == "__main__":
    main()
