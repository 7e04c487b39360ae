"""The judges: a file for each thing that they are asked of. In which order they are asked, `table` says."""
