-- oldest code: 2
-- A movement is found by its keys and never the other way: an index less to change at a random place with every bet.

DROP INDEX movement_keys_of_movement;

-- What writes a key writes its movement in the same statement: a query for each key would only ask whether it did.
ALTER TABLE movement_keys DROP CONSTRAINT movement_keys_operator_movement_fkey;

-- A round changes with its bet, a moment after it was opened: with room beside it no index has to follow.
ALTER TABLE rounds SET (fillfactor = 45);
