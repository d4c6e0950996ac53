"""Print the lowest version that pyproject.toml allows of everything that fastmpr and its extras for users need."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
USERS = ("cli", "mrc", "zarr", "hdf5", "czi", "lif", "nd2", "oif", "pylops", "pyproximal")
for requirement in [*project["dependencies"], *(one for name in USERS for one in extras[name])]:
    if found := re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement):
        print(f"{found[1]}=={found[2]}")
    else:
        raise SystemExit(f"pyproject.toml: found {requirement!r}, need NAME>=VERSION")
