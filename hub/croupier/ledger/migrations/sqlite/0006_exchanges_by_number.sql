-- oldest code: 2
-- Messages of a movement are found by its number: what is stored together lies together in that index too. Ids of
-- movements are spread evenly, so that each message changed a page of its own.

ALTER TABLE exchanges ADD COLUMN movement_number INTEGER;

DROP INDEX exchanges_of_movement;
CREATE INDEX exchanges_of_movement ON exchanges (movement_number) WHERE movement_number IS NOT NULL;

-- What older code has stored or stores, and what is about a movement that is not stored.
CREATE INDEX exchanges_unnumbered ON exchanges (operator, movement)
  WHERE movement_number IS NULL AND movement IS NOT NULL;
