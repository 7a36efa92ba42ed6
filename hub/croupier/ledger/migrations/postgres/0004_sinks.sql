-- oldest code: 2
-- How far each event sink has come, and what of it waits for another attempt or for a person.

CREATE TABLE sinks (
  operator text COLLATE "C" NOT NULL,
  sink text COLLATE "C" NOT NULL,
  position bigint NOT NULL CHECK (position >= 0),
  state text COLLATE "C" NOT NULL,
  owner text COLLATE "C",
  epoch bigint NOT NULL,
  lease_until bigint NOT NULL,
  version bigint NOT NULL CHECK (version >= 1),
  PRIMARY KEY (operator, sink)
);
