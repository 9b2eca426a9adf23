-- Records are JSON documents with the keys they are found by beside them. A value in a column named sealed_* opens only with the
-- key file and only for the record it was sealed for.

CREATE TABLE functions (
    account      TEXT NOT NULL,
    region       TEXT NOT NULL,
    name         TEXT NOT NULL,
    next_version INTEGER NOT NULL,
    tags         TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE function_versions (
    account            TEXT NOT NULL,
    region             TEXT NOT NULL,
    name               TEXT NOT NULL,
    version            INTEGER NOT NULL, -- 0 is $LATEST
    revision           TEXT NOT NULL,
    in_transition      INTEGER NOT NULL, -- 1 while Pending or InProgress
    code_sha256        TEXT NOT NULL,
    image              TEXT NOT NULL,
    code_bytes         INTEGER NOT NULL,
    unzipped_bytes     INTEGER NOT NULL,
    document           TEXT NOT NULL,
    sealed_environment BLOB,
    PRIMARY KEY (account, region, name, version),
    FOREIGN KEY (account, region, name) REFERENCES functions ON DELETE CASCADE
) STRICT;

CREATE INDEX function_versions_by_archive ON function_versions (code_sha256, account);
CREATE INDEX function_versions_in_transition ON function_versions (in_transition) WHERE in_transition = 1;

CREATE TABLE roles (
    account  TEXT NOT NULL,
    name     TEXT NOT NULL COLLATE NOCASE,
    path     TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_keys (
    access_key_id TEXT NOT NULL PRIMARY KEY,
    account       TEXT NOT NULL,
    root          INTEGER NOT NULL,
    sealed_secret BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX access_keys_root ON access_keys (account) WHERE root = 1;

-- One value, sealed at the first start, tells at every later one whether the key file is the right one.
CREATE TABLE seal_check (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;
