"""The nouns of the house: frozen models, enums, legal transitions and the error tree.

Rules:
- A model never changes after it is made; a change is a new model.
- Nothing here reads a clock, a file, the environment or a random source.

Not here: anything that computes a verdict (`engines/`) or remembers one (`store/`).
"""
