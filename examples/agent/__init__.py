"""The example agent: its users, what they ask for, and how they reach the door."""
