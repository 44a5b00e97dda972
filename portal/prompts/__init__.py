"""Prompts that users save: their own notes, listed, searched, edited, deleted."""
