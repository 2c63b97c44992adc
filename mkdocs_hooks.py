"""What the site changes in pages made from docstrings."""

import re

# "beta: weight of the KL" at the start of a line of a docstring, for one parameter or several
PARAMETER = re.compile(r"(<p>|\n)((?:(?:<code>)?\w+(?:</code>)?, )*\w+): ")


def on_page_content(html, page, **_):
    """Give each parameter of the public interface its own line; paragraphs of HTML join lines."""
    if page.file.src_uri != "reference/interface.md":
        return html
    return PARAMETER.sub(lambda found: f"{found[1] if found[1] == '<p>' else '<br>'}<code>{found[2]}</code>: ", html)
