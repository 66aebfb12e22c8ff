"""Similarity features of (query, candidate) pairs that need no knowledge of the schema."""

from distiller.features.alignment import NULLABLE
from distiller.features.table import VERSION, dense, dense_names, similarity_features

__all__ = ["NULLABLE", "VERSION", "dense", "dense_names", "similarity_features"]
