"""Compares two documents in the API's own terms: what changed, for whom, and which version that calls for.

`alternatives.py` says what a schema allows, `compare.py` walks over two documents side by side, `change.py` is what it
finds, `report.py` prints it, `revisions.py` gets documents from files and from git, `origins.py` makes one of other
origin comparable with ours.
"""
