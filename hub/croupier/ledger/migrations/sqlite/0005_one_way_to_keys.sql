-- oldest code: 2
-- A movement is found by its keys and never the other way: an index less to change at a random place with every bet.

DROP INDEX movement_keys_of_movement;
