"""Words that must lie nowhere: looked for in every byte of the database and of the folder of data."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url

from portal.core import settings
from portal.core.database import Base, db, dialect_name


def places_of(*words: str) -> set[str]:
    """Where any of these words lies open: tables or files of the database, files of DATA_DIR. Nothing may be written
    meanwhile."""
    wanted = [word.encode() for word in words]
    found = {
        path.name
        for path in _files()
        if any(word.lower() in path.read_bytes().lower() for word in wanted)  # an index keeps small letters
    }
    if dialect_name() == "postgresql":
        found |= {table for table in inspect(db.engine).get_table_names() if _says(table, words)}
    assert Base.metadata.tables, "nothing to look at"
    return found


def _files() -> list[Path]:
    now = settings.current()
    folders = [path for path in now.data_dir.rglob("*") if path.is_file()]
    if not now.sqlite:
        return folders
    # What is in the log of SQLite belongs to its file.
    db.session.remove()
    database = Path(make_url(now.database_url).database or "")
    return [*folders, *(path for path in database.parent.glob(f"{database.name}*") if path not in folders)]


def _says(table: str, words: tuple[str, ...]) -> bool:
    likes = " OR ".join(f"(t.*)::text ILIKE :word{at}" for at in range(len(words)))
    values = {f"word{at}": f"%{word}%" for at, word in enumerate(words)}
    query = f'SELECT 1 FROM "{table}" t WHERE {likes} LIMIT 1'  # noqa: S608  # a table of ours
    return db.session.execute(text(query), values).first() is not None
