"""Where templates, static files and migrations lie.

In a checkout they stand at the top level, beside `portal`; a wheel carries them inside the package. Nothing
else in the house asks which of the two it is.
"""

from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parent.parent


def find_root(package: Path) -> Path:
    """The folder that holds `templates`, `static` and `migrations` for the package in this folder."""
    above = package.parent
    # Both signs are asked for: a `templates` folder of somebody else may stand beside an installed package.
    if (above / "pyproject.toml").is_file() and (above / "templates").is_dir():
        return above
    return package


ROOT: Final = find_root(PACKAGE)


def templates_dir() -> Path:
    """The folder of the page and mail templates."""
    return ROOT / "templates"


def static_dir() -> Path:
    """The folder of the style sheet, the scripts and the icons."""
    return ROOT / "static"


def migrations_dir() -> Path:
    """The folder of the database's history, as Alembic wants it."""
    return ROOT / "migrations"
