"""Measurements: for each claim about speed one comparison that anybody can repeat with one command."""
