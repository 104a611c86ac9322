"""The agent's front door: MCP in, the right version of a plugin behind it, an exact record of every call."""
