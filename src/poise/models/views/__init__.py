"""Views that models learn from and are validated on, as torch data sets."""
