"""Says hello.

The methods of the objects in `capabilities` are called with the arguments by name; each returns a JSON object that fits
its contract in `contracts/`. An exception becomes the answer's error, with its message. Nothing may be printed to
standard output; standard error is free.
"""

from __future__ import annotations


class MyPlugin:
    """The methods of the capability `my_plugin`."""

    def greet(self, *, name: str, loud: bool = False) -> dict[str, str]:
        """Greet somebody by name."""
        if not name.strip():
            raise ValueError("The name is empty; say whom to greet.")
        greeting = f"Hello, {name.strip()}!"
        return {"greeting": greeting.upper() if loud else greeting}


capabilities = {"my_plugin": MyPlugin()}
