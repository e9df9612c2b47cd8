"""Lists: how a walk gets from page to page without losing or repeating an item, and the pages that people hold."""
