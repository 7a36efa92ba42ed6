-- Fewer and smaller indexes: each one costs a page of the log with every bet, because ids are spread evenly.
-- Rows stand in the order in which they came (`number`), so that what is new and what is changed soon after lies together.

-- Ties of `created_at` are put in order by the query.
DROP INDEX movements_listed;
DROP INDEX movements_of_player;
CREATE INDEX movements_listed ON movements (operator, created_at);
CREATE INDEX movements_of_player ON movements (operator, player, created_at);

-- A bet is in one of these for a moment, and never in the other.
DROP INDEX movements_orphaned;
DROP INDEX movements_unfinished;
CREATE INDEX movements_orphaned ON movements (lease_until, operator, movement, state)
  WHERE state IN ('fenced', 'intent');
CREATE INDEX movements_unfinished ON movements (state) WHERE state IN ('held', 'owed', 'reversing');

-- What makes a repeat. Never partitioned by time: the same id must be refused next month too.
CREATE TABLE movement_keys_by_number (
  operator TEXT NOT NULL,
  scope TEXT NOT NULL,
  namespace TEXT NOT NULL,
  value TEXT NOT NULL,
  movement_number INTEGER NOT NULL REFERENCES movements (number),
  PRIMARY KEY (operator, scope, namespace, value)
) STRICT, WITHOUT ROWID;

INSERT INTO movement_keys_by_number (operator, scope, namespace, value, movement_number)
SELECT movement_keys.operator, scope, namespace, value, number
FROM movement_keys JOIN movements ON movements.operator = movement_keys.operator
  AND movements.movement = movement_keys.movement
ORDER BY movement_keys.operator, scope, namespace, value;

DROP TABLE movement_keys;
ALTER TABLE movement_keys_by_number RENAME TO movement_keys;
CREATE INDEX movement_keys_of_movement ON movement_keys (movement_number);

CREATE TABLE rounds_by_number (
  number INTEGER NOT NULL PRIMARY KEY,
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
  UNIQUE (operator, round)
) STRICT;

INSERT INTO rounds_by_number (
  operator, round, connection, player, provider_round, game, currency, state, opened_at, bets, wins, closed_at, version
)
SELECT
  operator, round, connection, player, provider_round, game, currency, state, opened_at, bets, wins, closed_at, version
FROM rounds ORDER BY opened_at, operator, round;

DROP TABLE rounds;
ALTER TABLE rounds_by_number RENAME TO rounds;
CREATE INDEX rounds_listed ON rounds (operator, opened_at);
CREATE INDEX rounds_of_player ON rounds (operator, player, opened_at);

-- Messages are told apart within their trace: one index finds a trace and keeps a message from being stored twice.
CREATE TABLE exchanges_by_trace (
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
  status INTEGER,
  verdict TEXT NOT NULL,
  decision TEXT NOT NULL,
  request TEXT NOT NULL,
  response TEXT NOT NULL,
  UNIQUE (operator, trace, exchange)
) STRICT;

INSERT INTO exchanges_by_trace (
  number, operator, exchange, side, operation, started_at, duration_us, connection, trace, play, movement, status,
  verdict, decision, request, response
)
SELECT
  number, operator, exchange, side, operation, started_at, duration_us, connection, trace, play, movement, status,
  verdict, decision, request, response
FROM exchanges ORDER BY number;

DROP TABLE exchanges;
ALTER TABLE exchanges_by_trace RENAME TO exchanges;
CREATE INDEX exchanges_of_movement ON exchanges (operator, movement) WHERE movement IS NOT NULL;
