"""Hand-written methods of resources that do not correspond to one operation."""
