"""Fixtures that several test modules share."""

from hub_server import hub, loaded, nothing_cached, published

__all__ = ["hub", "loaded", "nothing_cached", "published"]
