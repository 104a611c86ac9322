"""What the house needs to read, keep, run and watch plugins."""
