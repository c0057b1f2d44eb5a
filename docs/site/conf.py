# SPDX-License-Identifier: MIT
# Sphinx reads this in the folder that tools/site/build.py puts together.
project = "bough"
author = "the bough authors"
copyright = author

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
highlight_language = "none"
pygments_dark_style = "monokai"
copybutton_prompt_text = "$ "
linkcheck_timeout = 20
add_module_names = False
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "bough"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1d5f4a", "color-brand-content": "#1d5f4a"},
    "dark_css_variables": {"color-brand-primary": "#7cc9a9", "color-brand-content": "#7cc9a9"},
}
