"""PERSONA: one network hears emotion, gender and age in a voice."""

__version__ = "0.1.0"
