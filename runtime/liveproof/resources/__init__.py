"""What connectors and the functions that use them share."""
