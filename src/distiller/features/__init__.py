"""Similarity features of (query, candidate) pairs that need no knowledge of the schema."""

from distiller.features.alignment import NULLABLE
from distiller.features.context import KINDS as CONTEXT_KINDS
from distiller.features.table import VERSION, dense, dense_names, key_attributes, similarity_features

__all__ = ["CONTEXT_KINDS", "NULLABLE", "VERSION", "dense", "dense_names", "key_attributes", "similarity_features"]
