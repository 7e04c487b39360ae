"""The commands, a file each. What they have in common: how they end."""
