-- Times are seconds since the epoch (UTC). Facts, actions and states are JSON.

CREATE TABLE objects (
    id TEXT PRIMARY KEY,
    fence BIGINT NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until DOUBLE PRECISION,
    wake_at DOUBLE PRECISION,
    ended BOOLEAN NOT NULL DEFAULT FALSE,
    state TEXT, -- last, since it is long and the columns before it are read without it
    CHECK ((owner IS NULL) = (lease_until IS NULL))
);

CREATE INDEX objects_waiting ON objects (wake_at) WHERE wake_at IS NOT NULL;

-- The log: rows are added and never changed.
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    object TEXT NOT NULL REFERENCES objects (id) DEFERRABLE INITIALLY DEFERRED,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    key TEXT
);

CREATE UNIQUE INDEX facts_key ON facts (key) WHERE key IS NOT NULL;
CREATE INDEX facts_of_object ON facts (object, kind, seq);
CREATE INDEX facts_of_kind ON facts (kind, seq);

-- Facts that their object's decision has not seen yet.
CREATE TABLE inbox (
    object TEXT NOT NULL,
    seq BIGINT NOT NULL REFERENCES facts (seq),
    PRIMARY KEY (object, seq)
) WITHOUT ROWID;

-- Actions to carry out: few rows at any time.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    object TEXT NOT NULL REFERENCES objects (id),
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at DOUBLE PRECISION NOT NULL
);

-- The ids of actions that are done: none of them is ever stored again.
CREATE TABLE carried_out (id TEXT PRIMARY KEY) WITHOUT ROWID;
