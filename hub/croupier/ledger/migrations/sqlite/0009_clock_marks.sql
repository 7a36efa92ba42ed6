-- oldest code: 2
-- What the ledger's time was at a moment of a machine's steady clock, and what the database's clock showed then.

CREATE TABLE clock_marks (
  boot TEXT NOT NULL PRIMARY KEY,
  steady_ms INTEGER NOT NULL,
  ledger_ms INTEGER NOT NULL,
  database_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
