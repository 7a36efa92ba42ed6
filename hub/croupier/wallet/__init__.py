"""The money path: a pure state machine, the engine that drives it, and the deliveries of what is owed."""
