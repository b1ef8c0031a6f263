-- What most trunks leave at its default, as one JSON document.

ALTER TABLE trunks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
