"""The simulator of live components: it owns time, order, files, feeds and faults.

Tests import from here; the runtime never does.
"""
