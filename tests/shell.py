"""The shell blocks of our documents, run as written in the checkout, beside a real server."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from portal.core.places import ROOT
from tests.servers import Server


class Shell:
    """A terminal in the checkout, beside the server; only the port differs from what the document says."""

    def __init__(self, server: Server, folder: Path, **environment: str) -> None:
        self.server = server
        self.environment = environment
        self.exported = folder / "exported"

    def run(self, block: str) -> str:
        """Run a block with what was exported before it; answers what it prints."""
        script = block.replace("http://localhost:8000", self.server.url)
        script += f"\nexport -p > {shlex.quote(str(self.exported))}"
        earlier = f". {shlex.quote(str(self.exported))}\n" if self.exported.exists() else ""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", earlier + script],
            cwd=ROOT,
            env={**os.environ, **self.server.environment, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        return done.stdout

    def json(self, block: str) -> Any:
        """What a block prints, read as JSON."""
        return json.loads(self.run(block))
