"""Reports: everything that is printed or written to files. Only this package and the commands print."""
