"""The commands, one file each. All return an exit status from `status`."""
