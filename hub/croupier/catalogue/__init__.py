"""Games and the routes that serve them: search, filters, and taking over providers' lists."""
