"""The suite that airspeed velocity (asv) runs on any commit. asv names a benchmark by its module: keep the names."""
