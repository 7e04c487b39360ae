"""Worker processes, and signals that end them."""
