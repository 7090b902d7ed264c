"""What owns time, order and chance: choices, the loop, the scheduler, the fence."""
