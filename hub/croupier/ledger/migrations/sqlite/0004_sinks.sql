-- oldest code: 2
-- How far each event sink has come, and what of it waits for another attempt or for a person.

CREATE TABLE sinks (
  operator TEXT NOT NULL,
  sink TEXT NOT NULL,
  position INTEGER NOT NULL CHECK (position >= 0),
  state TEXT NOT NULL,
  owner TEXT,
  epoch INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (operator, sink)
) STRICT, WITHOUT ROWID;
