"""Drawing of labels and predictions, of heatmaps, and HTML reports."""
