"""Every statement of the store, in the SQL that SQLite and PostgreSQL share (named parameters, upserts, RETURNING).

What is seen depends on writers taking turns (`Database.write`).
"""

from __future__ import annotations

from functools import cache

# --- objects, leases and fences ---

_OBJECT = "id, state, fence, owner, wake_at, ended"

GET = f"SELECT {_OBJECT} FROM objects WHERE id = :id"

OBJECTS = f"SELECT {_OBJECT} FROM objects WHERE id >= :prefix AND id < :beyond ORDER BY id"

LEASE = "SELECT fence, owner, lease_until, state FROM objects WHERE id = :id"

TAKE = """
INSERT INTO objects (id, fence, owner, lease_until) VALUES (:id, 1, :owner, :until)
ON CONFLICT (id) DO UPDATE SET
    fence = CASE WHEN objects.owner = excluded.owner THEN objects.fence ELSE objects.fence + 1 END,
    owner = excluded.owner,
    lease_until = excluded.lease_until
WHERE objects.owner IS NULL OR objects.owner = excluded.owner OR objects.lease_until <= :now
RETURNING fence, state
"""
"""No row: someone else holds the object."""

RELEASE = "UPDATE objects SET owner = NULL, lease_until = NULL WHERE owner = :owner AND id = :id"

RELEASE_ALL = "UPDATE objects SET owner = NULL, lease_until = NULL WHERE owner = :owner"

WAKE = """
INSERT INTO objects (id, wake_at) VALUES (:id, :now)
ON CONFLICT (id) DO UPDATE SET wake_at = excluded.wake_at
WHERE objects.wake_at IS NULL OR objects.wake_at > excluded.wake_at
"""

DECIDED = """
UPDATE objects SET
    state = :state,
    ended = :ended,
    wake_at = CASE WHEN EXISTS (SELECT 1 FROM inbox WHERE object = :id) THEN :now ELSE :wake_at END
WHERE id = :id AND fence = :fence
RETURNING fence
"""
"""No row: the fence is stale. Comes after the claim's facts were taken out of the inbox."""

FENCE = "SELECT fence FROM objects WHERE id = :id /* FOR UPDATE */"
"""Nobody takes the object over before the transaction ends."""

DUE = """
WITH waiting AS (
    SELECT * FROM (
        SELECT id, wake_at AS since FROM objects
        WHERE wake_at <= :now AND (owner = :owner OR lease_until IS NULL OR lease_until <= :now)
        ORDER BY wake_at, id LIMIT :limit
    ) AS looks
    UNION ALL
    SELECT objects.id, outbox.due_at FROM outbox JOIN objects ON objects.id = outbox.object
    WHERE outbox.due_at <= :now AND (objects.lease_until IS NULL OR objects.lease_until <= :now)
)
SELECT id FROM waiting GROUP BY id ORDER BY MIN(since), id LIMIT :limit
"""
"""The limit inside spares sorting all that is due, of which there may be much more."""

PEEK = """
SELECT state FROM objects WHERE id = :id
AND NOT EXISTS (SELECT 1 FROM inbox WHERE object = :id) AND NOT EXISTS (SELECT 1 FROM outbox WHERE object = :id)
"""

LOOK_AGAIN = """
UPDATE objects SET wake_at = :at WHERE id = :id AND wake_at <= :now AND state IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM inbox WHERE object = :id) AND NOT EXISTS (SELECT 1 FROM outbox WHERE object = :id)
"""

REWIND = (
    "UPDATE objects SET wake_at = :now WHERE wake_at > :now",
    "UPDATE outbox SET due_at = :now WHERE due_at > :now",
)

# --- facts ---

_FACT = "facts.seq, facts.at, facts.object, facts.kind, facts.body, facts.reason, facts.actor, facts.key"

RECORD = """
INSERT INTO facts (seq, at, object, kind, body, reason, actor, key)
VALUES ((SELECT COALESCE(MAX(seq), 0) + 1 FROM facts), :at, :object, :kind, :body, :reason, :actor, :key)
ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING
RETURNING seq
"""
"""No row: a fact with this key is recorded already. Numbers have no gaps, and nobody else gives one out meanwhile."""

DELIVER = "INSERT INTO inbox (object, seq) VALUES (:object, :seq)"

UNSEEN = f"SELECT {_FACT} FROM inbox JOIN facts ON facts.seq = inbox.seq WHERE inbox.object = :id ORDER BY inbox.seq"

SEEN = "DELETE FROM inbox WHERE object = :id AND seq = :seq"


@cache
def read_facts(*, of_objects: bool, kinds: int, newest_first: bool) -> str:
    """Facts after :after by sequence number, of objects from :prefix up to :beyond, of the kinds :kind0, :kind1, ..."""
    names = ", ".join(f":kind{i}" for i in range(kinds))
    if of_objects:
        # Objects have few of all the facts. The expressions keep planners from indexes that do not know the object.
        of_kinds = f"AND kind || '' IN ({names})" if kinds else ""
        wanted = f"""seq IN (
            SELECT seq FROM facts WHERE object >= :prefix AND object < :beyond AND seq + 0 > :after {of_kinds}
        )"""
    else:
        wanted = f"seq > :after AND kind IN ({names})" if kinds else "seq > :after"
    return f"SELECT {_FACT} FROM facts WHERE {wanted} ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT :limit"


# --- the outbox ---

_ENTRY = "outbox.id, outbox.object, objects.fence, outbox.kind, outbox.action, outbox.attempts"

STORE_ACTION = """
INSERT INTO outbox (seq, id, object, kind, action, due_at)
SELECT (SELECT COALESCE(MAX(seq), 0) + 1 FROM outbox), :id, :object, :kind, :action, :now
WHERE NOT EXISTS (SELECT 1 FROM carried_out WHERE id = :id)
ON CONFLICT (id) DO NOTHING
"""

OFFERED = f"""
SELECT {_ENTRY} FROM outbox JOIN objects ON objects.id = outbox.object
WHERE outbox.due_at <= :now AND objects.owner = :owner AND objects.lease_until > :now
ORDER BY outbox.seq LIMIT :limit
"""

PENDING = f"""
SELECT {_ENTRY} FROM outbox JOIN objects ON objects.id = outbox.object
WHERE outbox.object = :object ORDER BY outbox.seq
"""

TAKE_OUT = "DELETE FROM outbox WHERE id = :id RETURNING id"

CARRIED_OUT = "INSERT INTO carried_out (id) VALUES (:id)"

POSTPONE = """
UPDATE outbox SET attempts = attempts + 1, due_at = :until
WHERE id = :id AND :fence = (SELECT fence FROM objects WHERE objects.id = outbox.object)
"""

# --- who else is here ---

CHECK_IN = """
INSERT INTO controllers (owner, url, version, host, home, pid, started_at, seen_at)
VALUES (:owner, :url, :version, :host, :home, :pid, :started_at, :seen_at)
ON CONFLICT (owner) DO UPDATE SET
    url = excluded.url,
    version = excluded.version,
    host = excluded.host,
    home = excluded.home,
    pid = excluded.pid,
    started_at = excluded.started_at,
    seen_at = excluded.seen_at
"""

CHECK_OUT = "DELETE FROM controllers WHERE owner = :owner"

CONTROLLERS = "SELECT owner, url, version, host, home, pid, started_at, seen_at FROM controllers ORDER BY owner"

# --- what was folded, and what may go ---

KEEP_SNAPSHOT = """
INSERT INTO snapshots (name, seq, body) VALUES (:name, :seq, :body)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, body = excluded.body WHERE snapshots.seq <= excluded.seq
"""

SNAPSHOT = "SELECT seq, body FROM snapshots WHERE name = :name"

PRUNE = """
DELETE FROM facts WHERE seq = :seq AND key IS NULL AND seq < (SELECT MAX(seq) FROM facts)
AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.object = facts.object AND inbox.seq = facts.seq)
"""

FORGET_ACTIONS = """
DELETE FROM carried_out WHERE id > :id || '#' AND id < :id || '$'
AND EXISTS (SELECT 1 FROM objects WHERE objects.id = :id AND ended)
"""
"""The ids of an object's actions begin with its own and a #."""

# --- the schema ---

SCHEMA_TABLE = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)"

SCHEMA_VERSION = "SELECT COALESCE(MAX(version), 0) FROM schema_version"

MIGRATED = "INSERT INTO schema_version (version) VALUES (:version) ON CONFLICT (version) DO NOTHING RETURNING version"
"""No row: someone else has just done this migration."""

WORKS_FROM = "UPDATE schema_version SET works_from = :works_from WHERE version = :version"

NEEDED = "SELECT MAX(COALESCE(works_from, version)) FROM schema_version WHERE version > :known"
"""The oldest schema that a program has to know to work with what newer ones made of it."""
