"""Settings of the house: one YAML file, environment overrides, and where things lie on disk."""
