"""The tools, as functions whose docstrings are what a planning model reads before it calls them."""
