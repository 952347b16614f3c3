"""The widget of notebooks, which needs the extra `explore`."""

import importlib.util
from typing import TYPE_CHECKING, Any

from .page import script, style

if TYPE_CHECKING:
    from .explorer import Explorer

WITHOUT_EXTRA = (
    "The widget needs anywidget: run `pip install 'mfgjax[explore]'`, or write a page with `.to_html('explorer.html')`."
)


def has_extra() -> bool:
    """Tell whether anywidget is installed."""
    return importlib.util.find_spec("anywidget") is not None


def widget_of(explorer: "Explorer") -> Any:
    """Return a widget that answers its page by an explorer.

    The page sets `request` to a place of the sliders, and the widget sets `answer`, with the number of the request.
    """
    if not has_extra():
        raise ImportError(WITHOUT_EXTRA)
    import anywidget
    import traitlets

    class ExplorerWidget(anywidget.AnyWidget):
        _esm = script()
        _css = style()
        scene = traitlets.Dict().tag(sync=True)
        request = traitlets.Dict().tag(sync=True)
        answer = traitlets.Dict().tag(sync=True)

    widget = ExplorerWidget(scene=explorer.scene())

    def answered(change: Any) -> None:
        request = change["new"]
        try:
            answer = explorer.answer(request)
        except Exception as error:  # of user's functions all kinds: the page shows it, and goes on
            answer = {"error": f"{error}" or type(error).__name__}
        widget.answer = {**answer, "number": request["number"]}

    widget.observe(answered, "request")
    return widget
