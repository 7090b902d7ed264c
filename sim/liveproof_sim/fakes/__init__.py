"""What the simulator puts in the place of the world: each opens with its physics."""
