"""Code in running text that is a public name becomes a link to its reference, in pages and docstrings alike."""

from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

_PLAIN = ("reference/command-line", "problem-file", "game-file")  # there `solve` and the like are commands and keys


class LinkPublicNames(SphinxPostTransform):
    """Wrap `solve`, `mfg.solve` or `design.tune` in a reference, wherever it is not inside one."""

    default_priority = 100

    def run(self, **kwargs: Any) -> None:
        """Look at all code of the page."""
        if self.env.docname in _PLAIN:
            return
        known = self.env.get_domain("py").data["objects"]
        for node in list(self.document.findall(nodes.literal)):
            name = node.astext().removesuffix("()").removeprefix("mfg.").removeprefix("mfgjax.")
            entry = known.get(f"mfgjax.{name}")
            if entry is None or isinstance(node.parent, nodes.reference | nodes.title):
                continue
            link = nodes.reference("", "", internal=True)
            link["refuri"] = self.app.builder.get_relative_uri(self.env.docname, entry.docname) + f"#{entry.node_id}"
            node.replace_self(link)
            link += node


def setup(app: Any) -> dict[str, Any]:
    """Register the transform."""
    app.add_post_transform(LinkPublicNames)
    return {"parallel_read_safe": True}
