"""Scripts that print a table, run by name: ``python -m benchmarks.reports.peers``. They keep no history."""
