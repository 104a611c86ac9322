"""The example agent's own code: what an agent's owner would have written in an afternoon."""
