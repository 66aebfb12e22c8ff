"""Similarity features of (query, candidate) pairs that need no knowledge of the schema."""

from distiller.features.table import VERSION, similarity_features

__all__ = ["VERSION", "similarity_features"]
