"""How fastmpr behaves inside other programs: among their threads and processes, under their signals, within their memory."""
