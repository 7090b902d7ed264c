"""What the simulator puts in the place of the world: files, and what goes wrong with them."""
