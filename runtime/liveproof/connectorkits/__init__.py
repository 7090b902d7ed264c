"""What connectors are made with: fingerprints of content and of objects."""

from liveproof.connectorkits.fingerprint import (
    fingerprint_bytes,
    fingerprint_object,
    fingerprint_str,
)

__all__ = ["fingerprint_bytes", "fingerprint_object", "fingerprint_str"]
