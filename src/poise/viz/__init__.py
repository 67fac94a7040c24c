"""Pictures: labels and predictions drawn, maps shown, reports written."""
