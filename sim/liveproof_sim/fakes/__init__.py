"""The world around an app, in memory: each fake opens with its physics and is proved against the real thing."""
