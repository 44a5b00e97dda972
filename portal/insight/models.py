"""Figures as stored: one row a name, replaced by the job that counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class Figure(Model):
    """A named figure or small table, and when it was counted."""

    __tablename__ = "figures"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[dict[str, Any]]
    counted_at: Mapped[datetime]
