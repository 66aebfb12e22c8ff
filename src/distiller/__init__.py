"""DistillER: entity resolution by distilling a language-model teacher into a small student."""

__version__ = "0.1.0"
