"""Examples: a host agent with its users, its plugins and a registry of better ones."""
