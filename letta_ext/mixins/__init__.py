"""Hand-written methods of resources, a module for each resource that has any."""
