"""The one room that knows all others: settings, wiring, clocks, ids, logs, metrics."""
