"""Explanations of answers: what they quote and name, whether they hold, and what the answer hangs on."""
