-- Fewer and smaller indexes: what writes a bet pays for each of them twice, because a bet's state is indexed.

-- Ties of `created_at` and of `opened_at` are put in order by the query.
DROP INDEX movements_listed;
DROP INDEX movements_of_player;
CREATE INDEX movements_listed ON movements (operator, created_at);
CREATE INDEX movements_of_player ON movements (operator, player, created_at);
DROP INDEX rounds_listed;
DROP INDEX rounds_of_player;
CREATE INDEX rounds_listed ON rounds (operator, opened_at);
CREATE INDEX rounds_of_player ON rounds (operator, player, opened_at);

-- A bet is in the first of these for a moment, in the order of time, and never in the second.
DROP INDEX movements_orphaned;
DROP INDEX movements_unfinished;
CREATE INDEX movements_orphaned ON movements (lease_until) WHERE state IN ('fenced', 'intent');
CREATE INDEX movements_unfinished ON movements (state) WHERE state IN ('held', 'owed', 'reversing');

-- Planning looks at newer indexes first where a table is so small that all look equally good: the keys come last.
ALTER TABLE movement_keys DROP CONSTRAINT movement_keys_operator_movement_fkey;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_operator_movement_fkey;
ALTER TABLE movements DROP CONSTRAINT movements_pkey;
ALTER TABLE movements ADD PRIMARY KEY (operator, movement);
ALTER TABLE movement_keys ADD FOREIGN KEY (operator, movement) REFERENCES movements (operator, movement);
ALTER TABLE deliveries ADD FOREIGN KEY (operator, movement) REFERENCES movements (operator, movement);
ALTER TABLE rounds DROP CONSTRAINT rounds_pkey;
ALTER TABLE rounds ADD PRIMARY KEY (operator, round);

-- Messages are told apart within their trace: one index finds a trace and keeps a message from being stored twice.
ALTER TABLE exchanges DROP CONSTRAINT exchanges_pkey;
DROP INDEX exchanges_of_trace;
ALTER TABLE exchanges ADD PRIMARY KEY (operator, trace, exchange, started_at);
