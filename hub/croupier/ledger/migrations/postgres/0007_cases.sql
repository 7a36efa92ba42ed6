-- oldest code: 2
-- What comparisons with other books have found and who settled it, and how transactions are to be read since: new
-- records beside the movements, which stay as they are.

CREATE TABLE cases (
  operator text COLLATE "C" NOT NULL,
  "case" text COLLATE "C" NOT NULL,
  book text COLLATE "C" NOT NULL,
  reference text COLLATE "C" NOT NULL,
  kinds text COLLATE "C" NOT NULL,
  found text COLLATE "C" NOT NULL,
  opened_at bigint NOT NULL,
  movement text COLLATE "C",
  state text COLLATE "C" NOT NULL,
  decision text COLLATE "C",
  proposed_by text COLLATE "C",
  why text COLLATE "C",
  settled_by text COLLATE "C",
  settled_at bigint,
  version bigint NOT NULL CHECK (version >= 1)
);

CREATE INDEX cases_listed ON cases (operator, opened_at, "case");
CREATE INDEX cases_open ON cases (operator, opened_at, "case") WHERE state = 'open';
ALTER TABLE cases ADD PRIMARY KEY (operator, "case");

CREATE TABLE adjustments (
  operator text COLLATE "C" NOT NULL,
  "case" text COLLATE "C" NOT NULL,
  book text COLLATE "C" NOT NULL,
  reference text COLLATE "C" NOT NULL,
  movement text COLLATE "C",
  before text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  amount bigint NOT NULL CHECK (amount >= 0),
  currency text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  made_at bigint NOT NULL,
  proposed_by text COLLATE "C" NOT NULL,
  who text COLLATE "C" NOT NULL,
  why text COLLATE "C" NOT NULL
);

CREATE INDEX adjustments_listed ON adjustments (operator, book, at, "case");
CREATE INDEX adjustments_of_transaction ON adjustments (operator, book, reference);
ALTER TABLE adjustments ADD PRIMARY KEY (operator, "case");
