"""What is printed, and what is written. Nothing else prints."""
