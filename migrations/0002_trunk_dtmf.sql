-- How digits travel over a trunk: auto, rfc4733, info or inband.

ALTER TABLE trunks ADD COLUMN dtmf TEXT NOT NULL DEFAULT 'auto';
