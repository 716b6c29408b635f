"""A figure that says what it shows to those who cannot see it."""

from typing import Any

from matplotlib.figure import Figure


class Described(Figure):
    """A figure whose title and `finding`, some sentences, are its picture's alternative text."""

    finding = ""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """The picture, and in its metadata the text, where nbconvert looks for it, too."""
        from IPython.core.pylabtools import print_figure

        title = self.get_suptitle()
        alt = f"{title}. {self.finding}" if title else self.finding
        shown = {"text/plain": repr(self), "image/png": print_figure(self, "png", base64=True)}
        return shown, {"image/png": {"alt": alt}} if alt else {}
