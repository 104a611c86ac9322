"""The verbs of the house: pure functions from domain to domain.

Rules:
- Same input, same output: time, ids and randomness come in as arguments, nothing is read or written.
- A formula names its source; an input that leaves its range is bounded where that is said.

Not here: gathering the evidence (`activities/`) and remembering the answer (`store/`).
"""
