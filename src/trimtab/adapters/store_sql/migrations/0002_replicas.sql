-- works-from: 1

-- The oldest schema that a program has to know to go on working after this migration; NULL: this one.
ALTER TABLE schema_version ADD COLUMN works_from INTEGER;

-- Who uses the store.
CREATE TABLE controllers (
    owner TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    home TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    seen_at DOUBLE PRECISION NOT NULL
);

-- Views as they were at some fact, the newest of each name: they spare reading the log from its beginning.
CREATE TABLE snapshots (
    name TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    body TEXT NOT NULL
);
