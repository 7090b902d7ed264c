"""The machine: no clock, thread, file or chance of its own."""
