"""A trained model for people: the widget, the page that listens, the server."""
