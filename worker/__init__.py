"""The switchboard: the only room that knows all the others and wires them together."""
