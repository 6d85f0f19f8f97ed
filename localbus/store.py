"""Entities and messages in one SQLite file.

Writes gather in one transaction until `commit`; the caller tells nobody about them before. Rows are
read back one page at a time, so a backlog costs disk, not memory. `Durability` says what a commit
survives. One process owns the file: a second one is refused at opening.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from localbus.broker.message import Message, State, StoredContent

SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE entities (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    properties TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    reserved_sequence INTEGER NOT NULL
);
CREATE TABLE messages (
    position INTEGER PRIMARY KEY,
    mailbox INTEGER NOT NULL,
    sequence_number INTEGER NOT NULL,
    state INTEGER NOT NULL,
    enqueued_ms INTEGER NOT NULL,
    due_ms INTEGER,
    expires_ms INTEGER,
    delivery_count INTEGER NOT NULL,
    session_id TEXT,
    size INTEGER NOT NULL,
    head BLOB NOT NULL,
    pairs BLOB NOT NULL,
    pair_count INTEGER NOT NULL,
    bare BLOB NOT NULL
);
CREATE INDEX messages_by_state ON messages (mailbox, state, position, size);
CREATE INDEX messages_by_sequence ON messages (mailbox, sequence_number);
CREATE INDEX messages_by_due ON messages (mailbox, due_ms) WHERE state = 2;
CREATE INDEX messages_by_expiry ON messages (mailbox, expires_ms) WHERE expires_ms IS NOT NULL;
CREATE TABLE seen (
    entity INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (entity, message_id)
) WITHOUT ROWID;
"""

_SECOND = """
ALTER TABLE entities ADD COLUMN kind TEXT NOT NULL DEFAULT 'queue';
ALTER TABLE messages ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_by_session ON messages (mailbox, session_id, sequence_number, state)
    WHERE session_id IS NOT NULL;
CREATE TABLE sessions (
    mailbox INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    state BLOB NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (mailbox, session_id)
) WITHOUT ROWID;
CREATE TABLE rules (
    entity INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    definition TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (entity, name)
) WITHOUT ROWID;
"""
"""Sessions, topics and forwarding: what version 2 has and version 1 had not."""

_THIRD = "UPDATE seen SET message_id = digest_of(message_id)"
"""Message ids outlive their messages here, so they are kept as digests: one may hold a secret."""

_MIGRATIONS = (_SCHEMA, _SECOND, _THIRD)
"""Step n brings a file of version n to version n + 1; a new file takes all of them."""

_COLUMNS = (
    "position, mailbox, sequence_number, state, enqueued_ms, due_ms, expires_ms, delivery_count,"
    " session_id, size, head, pairs, pair_count, bare, hops"
)
_INSERT = f"INSERT INTO messages ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - constants only


class Durability(Enum):
    """What an acknowledged message survives."""

    FULL = "full"
    """Power loss: every commit waits for the disk."""
    NORMAL = "normal"
    """A crash or kill of the process; power loss may take the last moments."""
    NONE = "none"
    """A crash of the process, usually; nothing is promised."""


class StoreInUse(Exception):
    """Another process has this file open. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Entity:
    """The row of a queue, topic or subscription; `kind` is one of these words."""

    entity_id: int
    name: str
    properties: dict[str, Any]
    created_ms: int
    updated_ms: int
    reserved_sequence: int
    kind: str = "queue"


class Store:
    """The file. Not safe to share between threads; everything happens on the event loop's."""

    def __init__(self, path: Path | None, durability: Durability = Durability.NORMAL) -> None:
        """Open or create `path`; None keeps everything in memory. Raises StoreInUse."""
        self._db = sqlite3.connect(
            ":memory:" if path is None else path,
            isolation_level=None,
            check_same_thread=False,
            timeout=0,
        )
        self._dirty = False
        self._logged = False
        self._db.create_function("digest_of", 1, _digest_of, deterministic=True)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            level = {"full": "FULL", "normal": "NORMAL", "none": "OFF"}[durability.value]
            self._db.execute(f"PRAGMA synchronous = {level}")
            self._db.execute("PRAGMA temp_store = MEMORY")
            # A message is mostly gone soon: the longer the log, the fewer pages ever leave it.
            self._db.execute("PRAGMA wal_autocheckpoint = 8000")
            self._db.execute("PRAGMA cache_size = -16384")
            # What is deleted is overwritten: a message that was dropped is not read from the file.
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            for step in _MIGRATIONS[version:]:
                for statement in step.split(";"):
                    self._db.execute(statement)
            if version < SCHEMA_VERSION:
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise StoreInUse(f"{path} is open in another process") from error
            raise
        if version > SCHEMA_VERSION:
            self._db.close()
            raise StoreInUse(f"{path} was written by version {version} of the schema")

    def _write(self) -> sqlite3.Connection:
        if not self._dirty:
            self._db.execute("BEGIN IMMEDIATE")
            self._dirty = True
        return self._db

    def commit(self) -> bool:
        """Make everything written since the last commit lasting; whether there was anything."""
        if not self._dirty:
            return False
        self._db.execute("COMMIT")
        self._dirty, self._logged = False, True
        return True

    def empty_log(self) -> None:
        """Bring the write-ahead log into the file and cut it: it repeats what was deleted since.

        Does nothing while a transaction is open. Costs a wait for the disk.
        """
        if self._logged and not self._dirty:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._logged = False

    def close(self) -> None:
        """Commit and close; closing twice is harmless."""
        self.commit()
        self._db.close()

    # -- entities --------------------------------------------------------------------------

    def entities(self) -> list[Entity]:
        """Every entity, by name; so a topic comes before its subscriptions."""
        rows = self._db.execute(
            "SELECT id, name, properties, created_ms, updated_ms, reserved_sequence, kind"
            " FROM entities ORDER BY name"
        )
        return [Entity(i, name, json.loads(text), *rest) for i, name, text, *rest in rows]

    def add_entity(
        self, name: str, properties: dict[str, Any], now_ms: int, kind: str = "queue"
    ) -> Entity:
        """Write a new entity's row; the caller has seen to it that the name is free."""
        cursor = self._write().execute(
            "INSERT INTO entities"
            " (name, properties, created_ms, updated_ms, reserved_sequence, kind)"
            " VALUES (?, ?, ?, ?, 1, ?)",
            (name, json.dumps(properties, sort_keys=True), now_ms, now_ms, kind),
        )
        assert cursor.lastrowid is not None
        return Entity(cursor.lastrowid, name, properties, now_ms, now_ms, 1, kind)

    def update_entity(self, entity_id: int, properties: dict[str, Any], now_ms: int) -> None:
        self._write().execute(
            "UPDATE entities SET properties = ?, updated_ms = ? WHERE id = ?",
            (json.dumps(properties, sort_keys=True), now_ms, entity_id),
        )

    def remove_entity(self, entity_id: int, mailboxes: Iterable[int]) -> None:
        """Delete an entity with its messages and what it remembers."""
        db = self._write()
        for mailbox in mailboxes:
            db.execute("DELETE FROM messages WHERE mailbox = ?", (mailbox,))
            db.execute("DELETE FROM sessions WHERE mailbox = ?", (mailbox,))
        db.execute("DELETE FROM rules WHERE entity = ?", (entity_id,))
        db.execute("DELETE FROM seen WHERE entity = ?", (entity_id,))
        db.execute("DELETE FROM entities WHERE id = ?", (entity_id,))

    def reserve_sequence(self, entity_id: int, upto: int) -> None:
        """Sequence numbers below `upto` may be in use: after a restart they are not given again."""
        self._write().execute(
            "UPDATE entities SET reserved_sequence = ? WHERE id = ?", (upto, entity_id)
        )

    # -- messages --------------------------------------------------------------------------

    def insert(self, message: Message) -> None:
        content = message.content
        assert content is not None
        self._write().execute(
            _INSERT,
            (
                message.position,
                message.mailbox,
                message.sequence_number,
                int(message.state),
                message.enqueued_ms,
                message.due_ms,
                message.expires_ms,
                message.delivery_count,
                message.session_id,
                message.size,
                content.head,
                content.pairs,
                content.pair_count,
                content.bare,
                message.hops,
            ),
        )

    def delete(self, position: int) -> None:
        self._write().execute("DELETE FROM messages WHERE position = ?", (position,))

    def set_delivery_count(self, position: int, count: int) -> None:
        self._write().execute(
            "UPDATE messages SET delivery_count = ? WHERE position = ?", (count, position)
        )

    def set_state(self, position: int, state: State, delivery_count: int) -> None:
        self._write().execute(
            "UPDATE messages SET state = ?, delivery_count = ? WHERE position = ?",
            (int(state), delivery_count, position),
        )

    def content(self, position: int) -> StoredContent:
        """The bytes of a message that is in the store."""
        row = self._db.execute(
            "SELECT head, pairs, pair_count, bare FROM messages WHERE position = ?", (position,)
        ).fetchone()
        return StoredContent(*row)

    def page(self, mailbox: int, after: int, *, messages: int, size: int) -> list[Message]:
        """Active messages behind position `after`, in order, until `messages` or `size` bytes."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE mailbox = ? AND state = 0 AND position > ?"  # noqa: S608 - constants only
            " ORDER BY position LIMIT ?",
            (mailbox, after, messages),
        )
        return _until(rows, size)

    def peek(self, mailbox: int, from_sequence: int, *, messages: int, size: int) -> list[Message]:
        """Messages of any state from a sequence number on, in their order."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE mailbox = ? AND sequence_number >= ?"  # noqa: S608 - constants only
            " ORDER BY sequence_number LIMIT ?",
            (mailbox, from_sequence, messages),
        )
        return _until(rows, size)

    def by_sequence(self, mailbox: int, sequence_number: int) -> Message | None:
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE mailbox = ? AND sequence_number = ?",  # noqa: S608 - constants only
            (mailbox, sequence_number),
        ).fetchone()
        return None if row is None else _message(row)

    def due(self, mailbox: int, now_ms: int, limit: int) -> list[Message]:
        """Scheduled messages whose time has come, earliest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE mailbox = ? AND state = 2 AND due_ms <= ?"  # noqa: S608 - constants only
            " ORDER BY due_ms, position LIMIT ?",
            (mailbox, now_ms, limit),
        )
        return [_message(row) for row in rows]

    def next_due_ms(self, mailbox: int) -> int | None:
        row = self._db.execute(
            "SELECT due_ms FROM messages WHERE mailbox = ? AND state = 2 ORDER BY due_ms LIMIT 1",
            (mailbox,),
        ).fetchone()
        return None if row is None else int(row[0])

    def expired(self, mailbox: int, after: int, now_ms: int, limit: int) -> list[Message]:
        """Active messages behind position `after` whose time to live is over."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE mailbox = ? AND expires_ms <= ?"  # noqa: S608 - constants only
            " AND state = 0 AND position > ? ORDER BY expires_ms, position LIMIT ?",
            (mailbox, now_ms, after, limit),
        )
        return [_message(row) for row in rows]

    def next_expiry_ms(self, mailbox: int, after: int, since_ms: int = 0) -> int | None:
        """When the first active message behind position `after` expires, from `since_ms` on."""
        row = self._db.execute(
            "SELECT expires_ms FROM messages WHERE mailbox = ? AND expires_ms >= ?"
            " AND state = 0 AND position > ? ORDER BY expires_ms LIMIT 1",
            (mailbox, since_ms, after),
        ).fetchone()
        return None if row is None else int(row[0])

    def tally(self) -> Iterator[tuple[int, State, int, int]]:
        """For every mailbox and state: how many messages, and their bytes. One index scan."""
        rows = self._db.execute(
            "SELECT mailbox, state, count(*), sum(size) FROM messages GROUP BY mailbox, state"
        )
        for mailbox, state, count, size in rows:
            yield mailbox, State(state), count, size

    def last_position(self) -> int:
        row = self._db.execute("SELECT max(position) FROM messages").fetchone()
        return row[0] or 0

    # -- sessions --------------------------------------------------------------------------

    def session_page(
        self, mailbox: int, session_id: str, after: int, *, messages: int, size: int
    ) -> list[Message]:
        """Active messages of a session behind a sequence number, in order."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages INDEXED BY messages_by_session"  # noqa: S608 - constants only
            " WHERE mailbox = ? AND session_id = ? AND sequence_number > ? AND state = 0"
            " ORDER BY sequence_number LIMIT ?",
            (mailbox, session_id, after, messages),
        )
        return _until(rows, size)

    def peek_session(
        self, mailbox: int, session_id: str, from_sequence: int, *, messages: int, size: int
    ) -> list[Message]:
        """As `peek`, of one session."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM messages INDEXED BY messages_by_session"  # noqa: S608 - constants only
            " WHERE mailbox = ? AND session_id = ? AND sequence_number >= ?"
            " ORDER BY sequence_number LIMIT ?",
            (mailbox, session_id, from_sequence, messages),
        )
        return _until(rows, size)

    def next_session(self, mailbox: int, after: str | None) -> str | None:
        """The session that has active messages and follows `after`, by name."""
        row = self._db.execute(
            "SELECT session_id FROM messages INDEXED BY messages_by_session"
            " WHERE mailbox = ? AND session_id > ? AND state = 0 ORDER BY session_id LIMIT 1",
            (mailbox, after or ""),
        ).fetchone()
        return None if row is None else str(row[0])

    def session_is_waiting(self, mailbox: int, session_id: str) -> bool:
        """Whether a session has active messages."""
        return bool(self.session_page(mailbox, session_id, 0, messages=1, size=1))

    def session_state(self, mailbox: int, session_id: str) -> bytes | None:
        row = self._db.execute(
            "SELECT state FROM sessions WHERE mailbox = ? AND session_id = ?",
            (mailbox, session_id),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def set_session_state(
        self, mailbox: int, session_id: str, state: bytes | None, now_ms: int
    ) -> None:
        """Keep a session's state; None forgets it."""
        if state is None:
            self._write().execute(
                "DELETE FROM sessions WHERE mailbox = ? AND session_id = ?", (mailbox, session_id)
            )
        else:
            self._write().execute(
                "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)",
                (mailbox, session_id, state, now_ms),
            )

    def sessions(
        self, mailbox: int, updated_after_ms: int | None, *, skip: int, top: int
    ) -> list[str]:
        """Sessions by name: those with active messages or state, or those whose state was set
        after a time."""
        if updated_after_ms is None:
            rows = self._db.execute(
                "SELECT session_id FROM messages INDEXED BY messages_by_session"
                " WHERE mailbox = ? AND session_id IS NOT NULL AND state = 0"
                " UNION SELECT session_id FROM sessions WHERE mailbox = ?"
                " ORDER BY session_id LIMIT ? OFFSET ?",
                (mailbox, mailbox, top, skip),
            )
        else:
            rows = self._db.execute(
                "SELECT session_id FROM sessions WHERE mailbox = ? AND updated_ms > ?"
                " ORDER BY session_id LIMIT ? OFFSET ?",
                (mailbox, updated_after_ms, top, skip),
            )
        return [str(row[0]) for row in rows]

    # -- rules -----------------------------------------------------------------------------

    def rules(self, entity_id: int) -> list[tuple[str, dict[str, Any], int]]:
        """Name, definition and time of creation of a subscription's rules, by name."""
        rows = self._db.execute(
            "SELECT name, definition, created_ms FROM rules WHERE entity = ? ORDER BY name",
            (entity_id,),
        )
        return [(name, json.loads(text), created_ms) for name, text, created_ms in rows]

    def put_rule(
        self, entity_id: int, name: str, definition: dict[str, Any], created_ms: int
    ) -> None:
        self._write().execute(
            "INSERT OR REPLACE INTO rules VALUES (?, ?, ?, ?)",
            (entity_id, name, json.dumps(definition, sort_keys=True), created_ms),
        )

    def remove_rule(self, entity_id: int, name: str) -> None:
        self._write().execute("DELETE FROM rules WHERE entity = ? AND name = ?", (entity_id, name))

    # -- duplicates ------------------------------------------------------------------------

    def remember(self, entity_id: int, message_id: str, until_ms: int, now_ms: int) -> bool:
        """Whether `message_id` was not seen within the window; if so it is seen now."""
        cursor = self._write().execute(
            "INSERT INTO seen (entity, message_id, until_ms) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms WHERE until_ms <= ?",
            (entity_id, _digest_of(message_id), until_ms, now_ms),
        )
        return cursor.rowcount == 1

    def forget(self, now_ms: int) -> None:
        """Drop the ids whose window is over, of all queues."""
        self._write().execute("DELETE FROM seen WHERE until_ms <= ?", (now_ms,))


def _digest_of(message_id: str) -> str:
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _message(row: tuple[Any, ...]) -> Message:
    return Message(
        position=row[0],
        mailbox=row[1],
        sequence_number=row[2],
        state=State(row[3]),
        enqueued_ms=row[4],
        due_ms=row[5],
        expires_ms=row[6],
        delivery_count=row[7],
        session_id=row[8],
        size=row[9],
        content=StoredContent(*row[10:14]),
        hops=row[14],
    )


def _until(rows: Iterable[tuple[Any, ...]], size: int) -> list[Message]:
    taken: list[Message] = []
    for row in rows:
        message = _message(row)
        taken.append(message)
        size -= message.size
        if size <= 0:
            break
    return taken
