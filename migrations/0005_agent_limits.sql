-- The numbers an agent may choose to show, and where it may call, as JSON documents; how many calls a second it may make, 0 = no limit.

ALTER TABLE agents ADD COLUMN allowed_caller_ids TEXT NOT NULL DEFAULT '[]';
ALTER TABLE agents ADD COLUMN dial_policy TEXT NOT NULL DEFAULT '{}';
ALTER TABLE agents ADD COLUMN max_cps BIGINT NOT NULL DEFAULT 0;
