"""One self-contained HTML page out of `metrics.json`: what the run found, in words, tables and pictures.

Needs no torch and no network: neither to write the page nor to open it.
"""
