-- oldest code: 2
-- What comparisons with other books have found and who settled it, and how transactions are to be read since: new
-- records beside the movements, which stay as they are.

CREATE TABLE cases (
  operator TEXT NOT NULL,
  "case" TEXT NOT NULL,
  book TEXT NOT NULL,
  reference TEXT NOT NULL,
  kinds TEXT NOT NULL,
  found TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  movement TEXT,
  state TEXT NOT NULL,
  decision TEXT,
  proposed_by TEXT,
  why TEXT,
  settled_by TEXT,
  settled_at INTEGER,
  version INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (operator, "case")
) STRICT, WITHOUT ROWID;

CREATE INDEX cases_listed ON cases (operator, opened_at, "case");
CREATE INDEX cases_open ON cases (operator, opened_at, "case") WHERE state = 'open';

CREATE TABLE adjustments (
  operator TEXT NOT NULL,
  "case" TEXT NOT NULL,
  book TEXT NOT NULL,
  reference TEXT NOT NULL,
  movement TEXT,
  before TEXT NOT NULL,
  kind TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  currency TEXT NOT NULL,
  state TEXT NOT NULL,
  at INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  proposed_by TEXT NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  PRIMARY KEY (operator, "case")
) STRICT, WITHOUT ROWID;

CREATE INDEX adjustments_listed ON adjustments (operator, book, at, "case");
CREATE INDEX adjustments_of_transaction ON adjustments (operator, book, reference);
