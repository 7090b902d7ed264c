"""Stand-ins for what is outside of the program: each opens with its physics."""
