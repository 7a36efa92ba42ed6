-- The ledger's first schema.
-- Times are milliseconds since 1970 (UTC), amounts minor units, JSON is canonical text (sorted keys).
-- Every key leads with the operator; `number` columns keep the order in which rows were stored.

-- Which batch was committed last: tells after an ambiguous COMMIT whether it took place.
CREATE TABLE batches (
  only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
  batch INTEGER NOT NULL
) STRICT;

INSERT INTO batches (only, batch) VALUES (1, 0);

-- Every process that ever worked on this ledger.
CREATE TABLE owners (
  epoch INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL
) STRICT;

-- The newest event position and delivery sequence of each operator.
CREATE TABLE operator_positions (
  operator TEXT NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL,
  sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE movements (
  number INTEGER NOT NULL PRIMARY KEY,
  operator TEXT NOT NULL,
  movement TEXT NOT NULL,
  play TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  connection TEXT NOT NULL,
  player TEXT NOT NULL,
  kind TEXT NOT NULL,
  direction TEXT NOT NULL,
  state TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  currency TEXT NOT NULL,
  reference TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  owner TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  nonce TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  session TEXT,
  round TEXT,
  game TEXT,
  route TEXT,
  target TEXT,
  stake INTEGER,
  funding TEXT NOT NULL,
  funds_required INTEGER,
  "grant" TEXT,
  facts TEXT NOT NULL,
  operation TEXT NOT NULL,
  generation INTEGER NOT NULL,
  undone_by TEXT,
  effect TEXT,
  reason TEXT,
  message TEXT,
  operator_transaction TEXT,
  balance INTEGER,
  bonus INTEGER,
  settled_at INTEGER,
  version INTEGER NOT NULL CHECK (version >= 1),
  UNIQUE (operator, movement)
) STRICT;

CREATE INDEX movements_listed ON movements (operator, created_at, movement);
CREATE INDEX movements_of_player ON movements (operator, player, created_at, movement);
CREATE INDEX movements_of_round ON movements (operator, round) WHERE round IS NOT NULL;
CREATE INDEX movements_orphaned ON movements (lease_until, operator, movement) WHERE state IN ('fenced', 'intent');
CREATE INDEX movements_unfinished ON movements (state)
  WHERE state IN ('fenced', 'held', 'intent', 'owed', 'reversing');

-- What makes a repeat. Never partitioned by time: the same id must be refused next month too.
CREATE TABLE movement_keys (
  operator TEXT NOT NULL,
  scope TEXT NOT NULL,
  namespace TEXT NOT NULL,
  value TEXT NOT NULL,
  movement TEXT NOT NULL,
  PRIMARY KEY (operator, scope, namespace, value),
  FOREIGN KEY (operator, movement) REFERENCES movements (operator, movement)
) STRICT, WITHOUT ROWID;

CREATE INDEX movement_keys_of_movement ON movement_keys (operator, movement);

CREATE TABLE rounds (
  operator TEXT NOT NULL,
  round TEXT NOT NULL,
  connection TEXT NOT NULL,
  player TEXT NOT NULL,
  provider_round TEXT NOT NULL,
  game TEXT,
  currency TEXT NOT NULL,
  state TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  bets INTEGER NOT NULL,
  wins INTEGER NOT NULL,
  closed_at INTEGER,
  version INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (operator, round)
) STRICT, WITHOUT ROWID;

CREATE INDEX rounds_listed ON rounds (operator, opened_at, round);
CREATE INDEX rounds_of_player ON rounds (operator, player, opened_at, round);

CREATE TABLE deliveries (
  operator TEXT NOT NULL,
  delivery TEXT NOT NULL,
  movement TEXT NOT NULL,
  task TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  round TEXT,
  state TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  waits_for TEXT,
  attempts INTEGER NOT NULL,
  detail TEXT,
  owner TEXT,
  epoch INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (operator, delivery),
  UNIQUE (operator, sequence),
  FOREIGN KEY (operator, movement) REFERENCES movements (operator, movement)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_of_movement ON deliveries (operator, movement, sequence);
CREATE INDEX deliveries_due ON deliveries (due_at, operator, sequence) WHERE state = 'owed';
CREATE INDEX deliveries_owed_in_round ON deliveries (operator, round, sequence) WHERE state = 'owed';
CREATE INDEX deliveries_held ON deliveries (operator, movement) WHERE state = 'held';

CREATE TABLE events (
  operator TEXT NOT NULL,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (operator, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE exchanges (
  number INTEGER NOT NULL PRIMARY KEY,
  operator TEXT NOT NULL,
  exchange TEXT NOT NULL,
  side TEXT NOT NULL,
  operation TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  duration_us INTEGER NOT NULL,
  connection TEXT,
  trace TEXT NOT NULL,
  play TEXT,
  movement TEXT,
  request TEXT NOT NULL,
  response TEXT NOT NULL,
  status INTEGER,
  verdict TEXT NOT NULL,
  decision TEXT NOT NULL,
  UNIQUE (operator, exchange)
) STRICT;

CREATE INDEX exchanges_of_trace ON exchanges (operator, trace);
CREATE INDEX exchanges_of_movement ON exchanges (operator, movement) WHERE movement IS NOT NULL;

-- The vault: the only tables that know who a surrogate is.
CREATE TABLE players (
  operator TEXT NOT NULL,
  player TEXT NOT NULL,
  operator_player TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (operator, player),
  UNIQUE (operator, operator_player)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
  operator TEXT NOT NULL,
  connection TEXT NOT NULL,
  alias TEXT NOT NULL,
  player TEXT NOT NULL,
  PRIMARY KEY (operator, connection, alias),
  UNIQUE (operator, connection, player)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
  operator TEXT NOT NULL,
  session TEXT NOT NULL,
  player TEXT NOT NULL,
  connection TEXT NOT NULL,
  game TEXT NOT NULL,
  route TEXT NOT NULL,
  currency TEXT NOT NULL,
  state TEXT NOT NULL,
  launch_hash TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  launch_expires_at INTEGER NOT NULL,
  demo INTEGER NOT NULL,
  token_hash TEXT,
  operator_session TEXT,
  seen_at INTEGER,
  facts TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (operator, session)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_launch ON sessions (operator, connection, launch_hash);
CREATE INDEX sessions_by_token ON sessions (operator, connection, token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX sessions_latest ON sessions (operator, connection, player, created_at, session);
CREATE INDEX sessions_listed ON sessions (operator, created_at, session);
CREATE INDEX sessions_of_player ON sessions (operator, player, created_at, session);

CREATE TABLE grants (
  operator TEXT NOT NULL,
  connection TEXT NOT NULL,
  "grant" TEXT NOT NULL,
  player TEXT NOT NULL,
  currency TEXT NOT NULL,
  games TEXT NOT NULL,
  rounds INTEGER NOT NULL,
  state TEXT NOT NULL,
  valid_from INTEGER NOT NULL,
  valid_until INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  bet INTEGER,
  operator_grant TEXT,
  version INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (operator, connection, "grant")
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_listed ON grants (operator, created_at, "grant");
CREATE INDEX grants_of_player ON grants (operator, player, created_at, "grant");

-- Append-only: the newest version of a name is in force.
CREATE TABLE configuration (
  operator TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  body TEXT NOT NULL,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  active INTEGER NOT NULL,
  PRIMARY KEY (operator, kind, name, version)
) STRICT, WITHOUT ROWID;
