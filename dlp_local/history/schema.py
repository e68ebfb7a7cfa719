"""The database of the conversations: its tables, and the steps from each earlier schema to this one."""

from __future__ import annotations

import sqlite3

MIGRATIONS = (
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        pinned INTEGER NOT NULL DEFAULT 0,
        tip INTEGER,
        options TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL,
        changed_at TEXT NOT NULL,
        deleted_at TEXT
    );
    CREATE INDEX conversations_by_change ON conversations (deleted_at, pinned, changed_at);
    CREATE TABLE turns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        parent INTEGER REFERENCES turns (id) ON DELETE CASCADE,
        text TEXT NOT NULL,
        answer TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL DEFAULT 'sent' CHECK (state IN ('sent', 'done', 'failed')),
        error TEXT NOT NULL DEFAULT '',
        receipt TEXT,
        pack TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL
    );
    CREATE INDEX turns_by_conversation ON turns (conversation);
    CREATE INDEX turns_by_parent ON turns (parent);
    CREATE INDEX turns_unfinished ON turns (state) WHERE state = 'sent';
    CREATE VIRTUAL TABLE found USING fts5 (text, answer, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
    CREATE TRIGGER turns_go AFTER DELETE ON turns BEGIN DELETE FROM found WHERE rowid = old.id; END;
    CREATE TABLE drafts (conversation INTEGER PRIMARY KEY, text TEXT NOT NULL);
    CREATE TABLE corrections (
        id INTEGER PRIMARY KEY,
        text TEXT NOT NULL,
        wrong TEXT NOT NULL,
        right TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE TABLE personas (name TEXT PRIMARY KEY, options TEXT NOT NULL);
    """,
)
"""Step n leads from schema n to n + 1; a step that was once published never changes."""

VERSION = len(MIGRATIONS)


def migrate(database: sqlite3.Connection) -> None:
    """Brings a database to the present schema, each step whole or not at all; one made by a later version stays."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    for number in range(version, VERSION):
        database.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")
