-- One dialect for SQLite and PostgreSQL: TEXT, BIGINT and BOOLEAN only. Times are milliseconds since 1970, lists are JSON.

CREATE TABLE agents (
    id TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    external_id TEXT UNIQUE,
    display_name TEXT NOT NULL,
    email TEXT,
    enabled BOOLEAN NOT NULL,
    caller_id_number TEXT,
    max_concurrent_calls BIGINT NOT NULL,
    metadata TEXT NOT NULL
);

CREATE TABLE extensions (
    id TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    agent_id TEXT REFERENCES agents (id),
    ring_timeout_s BIGINT NOT NULL,
    max_contacts BIGINT NOT NULL,
    on_limit TEXT NOT NULL,
    codecs TEXT NOT NULL
);
CREATE INDEX extensions_by_agent ON extensions (agent_id);

CREATE TABLE credentials (
    id TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    extension_id TEXT NOT NULL REFERENCES extensions (id) ON DELETE CASCADE,
    username TEXT NOT NULL UNIQUE,
    tag TEXT,
    realm TEXT NOT NULL,
    ha1_md5 TEXT NOT NULL,
    ha1_sha256 TEXT NOT NULL
);
CREATE INDEX credentials_by_extension ON credentials (extension_id, id);

CREATE TABLE trunks (
    id TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    enabled BOOLEAN NOT NULL,
    gateways TEXT NOT NULL,
    inbound TEXT NOT NULL,
    media_cidrs TEXT NOT NULL,
    codecs TEXT NOT NULL,
    caller_id TEXT NOT NULL,
    max_channels BIGINT NOT NULL
);

CREATE TABLE numbers (
    id TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    e164 TEXT NOT NULL UNIQUE,
    trunk_id TEXT NOT NULL REFERENCES trunks (id),
    extension_id TEXT REFERENCES extensions (id),
    label TEXT
);
CREATE INDEX numbers_by_trunk ON numbers (trunk_id);
CREATE INDEX numbers_by_extension ON numbers (extension_id);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    created_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    scopes TEXT NOT NULL
);

CREATE TABLE cdrs (
    id TEXT PRIMARY KEY NOT NULL,
    call_id TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL,
    from_party TEXT NOT NULL,
    to_party TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ringing_at BIGINT,
    answered_at BIGINT,
    ended_at BIGINT NOT NULL,
    result TEXT NOT NULL,
    sip_code BIGINT NOT NULL,
    q850 BIGINT,
    ended_by TEXT NOT NULL,
    explanation TEXT NOT NULL,
    agent_id TEXT,
    trunk_id TEXT,
    legs TEXT NOT NULL
);

CREATE TABLE idempotency_keys (
    id TEXT PRIMARY KEY NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    status BIGINT,
    headers TEXT,
    body TEXT
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Raised by every change of what the directory holds: nodes that share the database watch it.
CREATE TABLE directory_revision (
    id BIGINT PRIMARY KEY NOT NULL,
    revision BIGINT NOT NULL
);
INSERT INTO directory_revision (id, revision) VALUES (1, 1);
