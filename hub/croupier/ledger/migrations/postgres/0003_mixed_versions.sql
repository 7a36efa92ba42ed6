-- oldest code: 2
-- What code may work with a schema that is newer than it knows: each step notes the oldest version whose code can.
-- A step without a note can be used only by code that knows it.

ALTER TABLE schema_versions ADD COLUMN oldest_code bigint;
