"""Leaderboards: finished runs, what can be compared of them, and which differences are more than chance."""
