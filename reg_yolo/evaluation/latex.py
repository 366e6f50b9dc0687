"""Tables as LaTeX in the manner of the booktabs package: rules above, below and under the headings, no others."""

from collections.abc import Sequence

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
}


def escape_latex(text: str) -> str:
    """Escape every character that LaTeX would take for a command, or that its usual fonts lack."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def bold_latex(text: str) -> str:
    """Return `text`, escaped, in bold."""
    return rf"\textbf{{{escape_latex(text)}}}"


def latex_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, label: str, text_columns: int = 1
) -> str:
    """Return a floating table.

    Args:
        headings: One for each column, not escaped.
        rows: Cells that are LaTeX already.
        caption: Stands above the table, not escaped.
        label: For cross-references, such as ``tab:detection``.
        text_columns: How many columns from the left are aligned left; the others are numbers, aligned right.
    """
    columns = "l" * text_columns + "r" * (len(headings) - text_columns)
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape_latex(caption)}}}",
        rf"  \label{{{label}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        "    " + " & ".join(escape_latex(heading) for heading in headings) + r" \\",
        r"    \midrule",
        *("    " + " & ".join(row) + r" \\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    if any("\u0e00" <= character <= "\u0e7f" for line in lines for character in line):
        lines.insert(1, "% Thai letters need XeLaTeX or LuaLaTeX with a Thai font (fontspec).")
    return "\n".join(lines) + "\n"
