-- oldest code: 2
-- What the ledger's time was at a moment of a machine's steady clock, and what the database's clock showed then.

CREATE TABLE clock_marks (
  boot text COLLATE "C" NOT NULL PRIMARY KEY,
  steady_ms bigint NOT NULL,
  ledger_ms bigint NOT NULL,
  database_ms bigint NOT NULL
);
