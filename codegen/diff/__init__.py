"""Compares two documents: the changes, whom they affect, and the version bump.

`variants.py` expands schemas, `compare.py` compares two documents, `change.py` describes a change, `report.py` prints
changes, `revisions.py` loads documents from files and git, `align.py` aligns documents of different origin.
"""
