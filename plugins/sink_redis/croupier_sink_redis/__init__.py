"""Events into a stream of a Redis or Valkey server."""
