"""The guests: `core/` runs them, the other folders show where a version may stand."""
