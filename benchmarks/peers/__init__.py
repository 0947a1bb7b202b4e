"""Hitonami beside its peers on the same topic, in the same run: ``python -m benchmarks.peers`` (docs/adr/0032)."""
