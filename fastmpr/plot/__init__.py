"""Pictures of volumes and of what is known of them."""

from .axis_profiles import profiles
from .found_poses import poses
from .results import result
from .volumes import sections

__all__ = ["poses", "profiles", "result", "sections"]
