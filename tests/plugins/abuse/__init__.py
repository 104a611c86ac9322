"""Acts that a plugin must not get away with, really done inside plugins and judged from outside."""
