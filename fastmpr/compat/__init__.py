"""Other programs' signatures on our parts: each module needs the package that it is named after, and imports it late."""
