-- oldest code: 2
-- The hub asks for the partitions of a month by this function, which works with its owner's rights: a hub may run as a
-- user who makes, changes and drops no tables.

CREATE FUNCTION make_month(parent text, year integer, month integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  part CONSTANT text := format('%s_%s_%s', parent, lpad(year::text, 4, '0'), lpad(month::text, 2, '0'));
  begins CONSTANT timestamp := make_timestamp(year, month, 1, 0, 0, 0);
  ends CONSTANT timestamp := begins + interval '1 month';
BEGIN
  IF parent NOT IN ('events', 'exchanges') THEN
    RAISE EXCEPTION 'only events and exchanges are kept by the month';
  END IF;
  PERFORM pg_advisory_xact_lock(8097879449299872111);
  IF EXISTS (
    SELECT FROM pg_class WHERE relname = part AND relnamespace = quote_ident(current_schema())::regnamespace
  ) THEN
    RETURN;
  END IF;
  -- A table of its own that is then attached waits for no reader and no writer.
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part, parent);
  EXECUTE format(
    'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, part,
    (extract(epoch FROM begins) * 1000)::bigint, (extract(epoch FROM ends) * 1000)::bigint
  );
END
$$;

-- Whoever calls it decides nothing about which tables are meant.
DO $$
BEGIN
  EXECUTE format(
    'ALTER FUNCTION make_month(text, integer, integer) SET search_path = %I, pg_temp', current_schema()
  );
END
$$;
