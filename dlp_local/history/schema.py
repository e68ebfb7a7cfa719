"""The database of the conversations: its tables, and the steps from each earlier schema to this one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from dlp_local.core.errors import HistoryError

CREATE_INDEX = """CREATE VIRTUAL TABLE turns_fts USING fts5 (
        text, answer, content = 'searched_turns', content_rowid = 'id', prefix = '2 3',
        tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N* Co P* S*'"
    )"""
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
    """
    DROP TRIGGER turns_go;
    DROP TABLE found;
    CREATE VIEW searched_turns AS
        SELECT id, search_text(text) AS text, iif(state = 'sent', '', search_text(answer)) AS answer FROM turns;
    CREATE VIRTUAL TABLE turns_fts USING fts5 (
        text, answer, content = 'searched_turns', content_rowid = 'id', prefix = '2 3',
        tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
    );
    CREATE TRIGGER turns_fts_insert AFTER INSERT ON turns BEGIN
        INSERT INTO turns_fts (rowid, text, answer)
        VALUES (new.id, search_text(new.text), iif(new.state = 'sent', '', search_text(new.answer)));
    END;
    CREATE TRIGGER turns_fts_delete AFTER DELETE ON turns BEGIN
        INSERT INTO turns_fts (turns_fts, rowid, text, answer)
        VALUES ('delete', old.id, search_text(old.text), iif(old.state = 'sent', '', search_text(old.answer)));
    END;
    CREATE TRIGGER turns_fts_update AFTER UPDATE OF text, answer, state ON turns
    WHEN old.text <> new.text
        OR iif(old.state = 'sent', '', old.answer) <> iif(new.state = 'sent', '', new.answer)
    BEGIN
        INSERT INTO turns_fts (turns_fts, rowid, text, answer)
        VALUES ('delete', old.id, search_text(old.text), iif(old.state = 'sent', '', search_text(old.answer)));
        INSERT INTO turns_fts (rowid, text, answer)
        VALUES (new.id, search_text(new.text), iif(new.state = 'sent', '', search_text(new.answer)));
    END;
    CREATE TABLE window_drafts (
        id INTEGER PRIMARY KEY,
        conversation INTEGER REFERENCES conversations (id) ON DELETE CASCADE,
        window TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE INDEX window_drafts_by_conversation ON window_drafts (conversation);
    INSERT INTO window_drafts (conversation, window, text)
        SELECT nullif(conversation, 0), '', text FROM drafts
        WHERE conversation = 0 OR conversation IN (SELECT id FROM conversations);
    DROP TABLE drafts;
    """,
    """
    ALTER TABLE corrections ADD COLUMN pack TEXT NOT NULL DEFAULT '';
    UPDATE corrections SET pack = coalesce((
        SELECT min(pack) FROM turns WHERE turns.text = corrections.text AND pack <> ''
        GROUP BY turns.text HAVING count(DISTINCT pack) = 1
    ), '');
    """,
    f"""
    DROP TABLE IF EXISTS turns_fts;
    {CREATE_INDEX};
    """,
    """
    CREATE TABLE lessons (
        id INTEGER PRIMARY KEY,
        adapter TEXT NOT NULL,
        pack TEXT NOT NULL,
        messages TEXT NOT NULL,
        wrong TEXT NOT NULL,
        right TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE INDEX lessons_by_adapter ON lessons (adapter);
    """,
)
"""Step n leads from schema n to n + 1; a step that was once published never changes.

The second one: an index of turns that triggers keep, with `search_text` as a function of SQL. A growing
answer is not in it before it is finished. Drafts belong to the window they are written in. The third one: corrections
belong to a pack; an earlier one to that which answered its message, where there is no other.
The fourth one: signs are in the index, and what `search_text` gives is compatible characters. The fifth one: lessons.
"""

VERSION = len(MIGRATIONS)


def migrate(database: sqlite3.Connection, where: Path | str) -> None:
    """Brings a database to the present schema, all steps or none.

    Programs that start at once wait for each other here: the version is read under the lock. Raises `HistoryError`,
    which names `where` it lies, for a database of a later version or of another program; that one is left as it is.
    """
    if version(database) == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        present = version(database)
        check_version(present, where)
        if not present and database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise HistoryError(f"{where}: is a database of another program. Move it, or set DLP_LOCAL_DATA elsewhere.")
        if present < VERSION:  # else another program has just done it
            _migrate_from(database, present)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _migrate_from(database: sqlite3.Connection, present: int) -> None:
    if present:
        _drop_index(database)
    for script in MIGRATIONS[present:]:
        for statement in _statements(script):
            database.execute(statement)
    recreate_index(database)
    database.execute(f"PRAGMA user_version = {VERSION}")


def check_version(present: int, where: Path | str) -> None:
    """Raises `HistoryError` for a schema that this version does not know."""
    if present > VERSION:
        raise HistoryError(f"{where}: was written by a newer version of dlp-local. Install that one again.")


def recreate_index(database: sqlite3.Connection) -> None:
    """Makes the search index anew, within a transaction, whatever is left of it."""
    _drop_index(database)
    database.execute(CREATE_INDEX)
    _fill_index(database)


def _drop_index(database: sqlite3.Connection) -> None:
    """SQLite drops no virtual table that it cannot open, so its entry is taken out of the schema by hand."""
    database.execute("PRAGMA writable_schema = ON")
    database.execute("DELETE FROM sqlite_master WHERE name = 'turns_fts'")
    database.execute("PRAGMA writable_schema = RESET")
    for table in ("data", "idx", "docsize", "config"):
        database.execute(f"DROP TABLE IF EXISTS turns_fts_{table}")


def _fill_index(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO turns_fts (turns_fts) VALUES ('rebuild')")


def version(database: sqlite3.Connection) -> int:
    """The schema that a database has; 0 for a new one."""
    (number,) = database.execute("PRAGMA user_version").fetchone()
    return int(number)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; a trigger is one statement with others in it."""
    statement = ""
    for part in re.split("(?<=;)", script):
        statement += part
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
