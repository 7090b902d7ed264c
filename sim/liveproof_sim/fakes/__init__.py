"""What the simulator puts in the place of the world, each with its physics, and what goes wrong with it."""
