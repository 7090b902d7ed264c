"""What the runtime asks of its world, one noun a file."""
