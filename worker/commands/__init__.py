"""The command line's nouns, one file each."""
