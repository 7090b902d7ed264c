"""The rooms that touch the real world: the event loop, the disk, the database. Nothing else does."""
