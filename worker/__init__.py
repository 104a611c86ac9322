"""The switchboard: the only place that wires everything, and where every process starts."""
