-- What a trunk's passwords leave behind: digests, never shown. The name that its carrier calls in with must be one trunk's only.

ALTER TABLE trunks ADD COLUMN secrets TEXT NOT NULL DEFAULT '{}';
ALTER TABLE trunks ADD COLUMN inbound_username TEXT;
CREATE UNIQUE INDEX trunks_by_inbound_username ON trunks (inbound_username);
