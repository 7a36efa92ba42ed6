"""The conformance kit: what an adapter or a plugin has to pass before real money goes through it."""
