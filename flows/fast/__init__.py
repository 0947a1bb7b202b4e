"""The compiled half of flows/hot.py."""
