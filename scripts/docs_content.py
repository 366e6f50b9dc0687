"""What the documentation site makes of things that a browser does not show by itself: equations and notebooks.

Both are written so that they are also readable in the repository. No script and no font is loaded: equations become
MathML, which browsers draw themselves.
"""

from __future__ import annotations

import base64
import json
import re

# GitHub draws these blocks too.
MATH = re.compile(r"^```math\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def with_equations(markdown: str) -> str:
    r"""Return a document with its `math` blocks as MathML.

    Example:
        >>> print(with_equations("```math\nx^2\n```"))  # doctest: +ELLIPSIS
        <div class="equation"><math ...<msup><mi>x</mi><mn>2</mn></msup>...</math></div>
    """
    from latex2mathml.converter import convert

    def rendered(found: re.Match[str]) -> str:
        return f'<div class="equation">{convert(" ".join(found[1].split()), display="block")}</div>'

    return MATH.sub(rendered, markdown)


def notebook_page(text: str) -> str:
    """Return the Markdown of a notebook: its text, its code, and the outputs that it was stored with."""
    parts: list[str] = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [shown for output in cell["outputs"] if (shown := _output(output))]
    return "\n\n".join(parts) + "\n"


def _output(output: dict) -> str:
    """Return one output of a cell as Markdown; what is meant for other front ends only is left out."""
    if output["output_type"] == "stream":
        return _text_block("".join(output["text"]))
    data = output.get("data", {})
    for kind in ("image/jpeg", "image/png"):
        if kind in data:
            # Whole lines of base64 may be a list, and may end in a newline.
            code = "".join(data[kind]).replace("\n", "")
            base64.b64decode(code, validate=True)
            return f'<img alt="Output of the cell above" src="data:{kind};base64,{code}">'
    return _text_block("".join(data["text/plain"])) if "text/plain" in data else ""


def _text_block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
