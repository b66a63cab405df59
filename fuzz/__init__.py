"""Fuzzers that know what must never happen, not only what must not crash; see README.md."""
