"""What fastmpr costs and what its results are worth: asv's suite, the page that shows its history, and reports."""
