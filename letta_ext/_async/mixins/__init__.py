"""Methods of resources that no operation stands behind."""
